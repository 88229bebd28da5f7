"""`AsyncManager` and handlers that are stuck, loops that are closed, and impatience."""

import asyncio
import logging
import signal
import threading
import time
from typing import Any

import pytest
from running import program
from serving import PATIENCE, URL, connected, refused, run, until
from test_async_manager import port_of

from exeunt.mongoose import MG_EV_HTTP_MSG, AsyncManager, Connection


class Quick(AsyncManager):
    """Warns every 50 ms."""

    _WARN_EVERY = 0.05


class Stuck:
    """A handler that holds its thread up until it is let go."""

    def __init__(self) -> None:
        self.inside = threading.Event()
        self.let_go = threading.Event()

    def __call__(self, conn: Connection, ev: int, data: Any) -> None:
        if ev == MG_EV_HTTP_MSG:
            self.inside.set()
            self.let_go.wait()
            conn.reply(200, b"at last")


async def _enter(am: AsyncManager, stuck: Stuck) -> asyncio.Task[bytes]:
    """Enters it, and asks what sticks."""
    await am.__aenter__()
    port = port_of(am.listen(URL))

    async def ask() -> bytes:
        async with connected(port) as client:
            try:
                return (await client.fetch("/")).body
            except (ConnectionError, asyncio.IncompleteReadError):
                return b""

    asked = asyncio.create_task(ask())
    await until(stuck.inside.is_set)
    return asked


def test_a_stuck_handler_is_named_again_and_again_until_it_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        stuck = Stuck()
        am = Quick(stuck)
        asked = await _enter(am, stuck)
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(count())
        loop = asyncio.get_running_loop()
        loop.call_later(0.3, stuck.let_go.set)
        with pytest.warns(RuntimeWarning) as warned:
            await am.__aexit__(None, None, None)
        counting.cancel()
        await asyncio.wait({counting})
        texts = [str(warning.message) for warning in warned]
        assert len(texts) >= 2
        assert len(set(texts)) == len(texts)
        assert all("not stopped" in text and "__call__" in text for text in texts)
        assert not any("did not stop" in text for text in texts)
        assert [record.getMessage() for record in caplog.records] == texts
        assert turns > 100, "the loop was blocked"
        assert await asked == b"at last"
        assert am._manager is None

    with caplog.at_level(logging.WARNING, "exeunt"):
        run(main)


def test_one_that_never_ends_is_left_behind_and_nothing_is_closed() -> None:
    async def main() -> None:
        stuck = Stuck()
        am = Quick(stuck, shutdown_timeout=0.3)
        asked = await _enter(am, stuck)
        manager = am.manager
        with pytest.warns(RuntimeWarning) as warned:
            await am.__aexit__(None, None, None)
        assert "did not stop within 0.3 s" in str(warned[-1].message)
        assert am._manager is manager
        assert not manager._freed
        assert not am.running
        with pytest.raises(RuntimeError, match="not started"):
            _ = am.manager
        stuck.let_go.set()
        await until(lambda: not _threads())
        assert not manager._freed
        # It can be used again, with another manager.
        async with am:
            assert am.manager is not manager
        manager.close(0)
        await asked

    run(main)


def _threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "AsyncManager"]


def test_a_drain_without_a_stuck_handler_warns_nobody() -> None:
    async def main() -> None:
        def handler(conn: Connection, ev: int, data: Any) -> None:
            if ev == MG_EV_HTTP_MSG:
                am.timer_add(300, lambda: conn.reply(200, b"late"))
                am.schedule(asked.set)

        asked = asyncio.Event()
        async with Quick(handler) as am:
            port = port_of(am.listen(URL))
            async with connected(port) as client:
                client.ask("/")
                await asked.wait()
                # Warnings are errors.
                leaving = asyncio.create_task(am.__aexit__(None, None, None))
                assert (await client.reply()).body == b"late"
            await leaving

    run(main)


def test_a_cancellation_cuts_the_drain_and_closes() -> None:
    async def main() -> None:
        asked = asyncio.Event()

        def never(conn: Connection, ev: int, data: Any) -> None:
            if ev == MG_EV_HTTP_MSG:
                am.schedule(asked.set)

        am = AsyncManager(never)
        await am.__aenter__()
        port = port_of(am.listen(URL))
        async with connected(port) as client:
            client.ask("/")
            await asked.wait()
            leaving = asyncio.create_task(am.__aexit__(None, None, None))
            await refused(port)
            leaving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaving
            assert (await client.reply()).status == 503
        assert am._manager is None
        assert not _threads()

    run(main)


def test_a_second_cancellation_leaves_at_once() -> None:
    async def main() -> None:
        stuck = Stuck()
        am = AsyncManager(stuck)
        asked = await _enter(am, stuck)
        manager = am.manager
        leaving = asyncio.create_task(am.__aexit__(None, None, None))
        for _ in range(2):
            await asyncio.sleep(0.01)
            assert not leaving.done()
            leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        assert not manager._freed
        stuck.let_go.set()
        await until(lambda: manager._freed)
        await asked
        await until(lambda: not _threads())

    run(main)


def test_a_loop_that_is_closed_under_it_ends_the_thread() -> None:
    loop = asyncio.new_event_loop()
    am = AsyncManager(poll_interval=5)
    loop.run_until_complete(am.__aenter__())
    manager = am.manager
    loop.close()
    deadline = time.monotonic() + PATIENCE
    while _threads():
        assert time.monotonic() < deadline
        time.sleep(0.002)
    assert manager._freed
    with pytest.raises(RuntimeError, match="closed"):
        am.schedule(print)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_is_no_exception_is_raised_in_the_loops_thread(error: type[BaseException]) -> None:
    def handler(conn: Connection, ev: int, data: Any) -> None:
        if ev == MG_EV_HTTP_MSG:
            conn.reply(200, b"")
            raise error

    loop = asyncio.new_event_loop()

    async def main() -> None:
        async with AsyncManager(handler) as am:
            port = port_of(am.listen(URL))
            async with connected(port) as client:
                client.ask("/")
                await asyncio.sleep(1000)

    task = loop.create_task(main())
    with pytest.raises(error):
        loop.run_until_complete(task)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.close()
    assert not _threads()


PROGRAM = """
import asyncio
from exeunt.mongoose import AsyncManager, MG_EV_HTTP_MSG

def handler(conn, ev, data):
    if ev == MG_EV_HTTP_MSG:
        conn.reply(200, b"hello")

async def main():
    async with AsyncManager(handler, poll_interval=5000) as am:
        print("port", am.listen("http://127.0.0.1:0").local_addr[1], flush=True)
        await asyncio.sleep(1000)

try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_under_asyncio_run() -> None:
    with program(PROGRAM) as served:
        served.wait_for("port")
        served.kill(signal.SIGINT)
        status, text = served.end()
        assert (status, "interrupted" in text) == (0, True), text


def test_a_program_that_forgets_to_leave_ends() -> None:
    text = PROGRAM.split("try:")[0] + (
        "loop = asyncio.new_event_loop()\n"
        "am = AsyncManager(handler, poll_interval=5000)\n"
        "loop.run_until_complete(am.__aenter__())\n"
        "am.listen('http://127.0.0.1:0')\n"
        "print('over')\n"
    )
    with program(text) as served:
        status, written = served.end()
        assert (status, "over" in written) == (0, True), written
