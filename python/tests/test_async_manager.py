"""`AsyncManager`, as programs that were written for it know it."""

import asyncio
import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from serving import PATIENCE, URL, connected, fetch, refused, run, until

from exeunt.mongoose import (
    MG_EV_CLOSE,
    MG_EV_HTTP_MSG,
    MG_EV_OPEN,
    MG_EV_WAKEUP,
    MG_EV_WS_MSG,
    AsyncManager,
    Connection,
)


def hello(conn: Connection, ev: int, data: Any) -> None:
    if ev == MG_EV_HTTP_MSG:
        conn.reply(200, f"hello {data.uri}")


def port_of(listener: Connection) -> int:
    assert listener.local_addr is not None
    return listener.local_addr[1]


def test_it_serves_while_the_loop_goes_on_and_may_be_entered_again() -> None:
    async def main() -> None:
        am = AsyncManager(hello)
        for _ in range(2):
            before = am.running
            async with am as entered:
                assert (before, entered.running, entered is am) == (False, True, True)
                port = port_of(am.listen(URL))
                assert am.manager.connections
                replies = await asyncio.gather(*(fetch(port, f"/{index}") for index in range(20)))
                assert [reply.body for reply in replies] == [
                    f"hello /{index}".encode() for index in range(20)
                ]
            assert not am.running
            await refused(port)

    run(main)


def test_nothing_works_before_the_block_and_after_it() -> None:
    async def nothing() -> None:
        pass

    async def main() -> None:
        am = AsyncManager(hello)
        uses: list[Callable[[], object]] = [
            lambda: am.manager,
            lambda: am.listen(URL),
            lambda: am.connect(URL),
            lambda: am.ws_connect(URL),
            lambda: am.timer_add(10, print),
            lambda: am.wakeup(1),
            lambda: am.schedule(print),
            lambda: am.schedule(nothing()),
        ]
        for _ in range(2):
            for use in uses:
                with pytest.raises(RuntimeError, match="not started"):
                    use()
            async with am:
                with pytest.raises(RuntimeError, match="is running"):
                    await am.__aenter__()
        await am.__aexit__(None, None, None)

    run(main)


def test_handlers_and_timers_run_in_the_thread_and_may_call_everything() -> None:
    async def main() -> None:
        threads: set[threading.Thread] = set()
        done = asyncio.Event()
        echoed: list[bytes] = []

        def handler(conn: Connection, ev: int, data: Any) -> None:
            if ev != MG_EV_OPEN:
                threads.add(threading.current_thread())
            if ev == MG_EV_HTTP_MSG:
                other = am.listen("tcp://127.0.0.1:0")
                am.connect(f"tcp://127.0.0.1:{port_of(other)}").close()
                am.timer_add(0, lambda: answer(conn))
            if ev == MG_EV_WAKEUP:
                echoed.append(data)
                conn.reply(200, data)
                am.schedule(done.set)

        def answer(conn: Connection) -> None:
            threads.add(threading.current_thread())
            assert am.wakeup(conn.id, b"woken")

        async with AsyncManager(handler) as am:
            port = port_of(am.listen(URL))
            assert (await fetch(port, "/")).body == b"woken"
            await done.wait()
            assert echoed == [b"woken"]
            assert not am.wakeup(10**9)
        assert len(threads) == 1
        assert threading.main_thread() not in threads

    run(main)


def test_schedule_takes_callables_and_coroutines_from_any_thread(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        seen: list[object] = []
        loop = asyncio.get_running_loop()

        async def coroutine(what: str) -> None:
            assert asyncio.get_running_loop() is loop
            await asyncio.sleep(0)
            seen.append(what)

        async def fails() -> None:
            raise ValueError("nobody awaits this")

        async with AsyncManager() as am:

            def from_a_thread() -> None:
                am.schedule(lambda: seen.append(threading.current_thread()))
                am.schedule(coroutine("a coroutine"))
                am.schedule(lambda: coroutine("made by a callable"))
                am.schedule(fails())

            await asyncio.to_thread(from_a_thread)
            am.schedule(coroutine("from the loop"))
            with pytest.raises(TypeError, match="not int"):
                am.schedule(3)  # type: ignore[arg-type]
            await until(lambda: len(seen) == 4 and "nobody awaits" in caplog.text)
        assert seen[0] is threading.main_thread()
        assert set(seen[1:]) == {"a coroutine", "made by a callable", "from the loop"}

    with caplog.at_level(logging.ERROR, "exeunt"):
        run(main)


def test_it_exits_at_once_whatever_the_poll_interval_is() -> None:
    async def main() -> None:
        async with AsyncManager(hello, poll_interval=3_600_000) as am:
            port = port_of(am.listen(URL))
            assert (await fetch(port, "/")).status == 200
        async with am:
            am.listen(URL)
            # It waits by then, for nothing that could come by itself.
            await asyncio.sleep(0.05)

    # `run` has a limit far below that hour.
    run(main)


def test_errors_go_to_the_error_handler_and_it_lives_on() -> None:
    async def main() -> None:
        errors: list[Exception] = []

        def handler(conn: Connection, ev: int, data: Any) -> None:
            if ev == MG_EV_HTTP_MSG:
                conn.reply(200, b"ok")
                raise ValueError(data.uri)

        async with AsyncManager(handler, error_handler=errors.append) as am:
            port = port_of(am.listen(URL))
            for _ in range(2):
                assert (await fetch(port, "/")).status == 200
            await until(lambda: len(errors) == 2)
        assert [str(error) for error in errors] == ["/", "/"]

    run(main)


def test_leaving_drains() -> None:
    async def main() -> None:
        closed: list[threading.Thread] = []
        asked = asyncio.Event()

        def handler(conn: Connection, ev: int, data: Any) -> None:
            if ev == MG_EV_HTTP_MSG:
                am.timer_add(100, lambda: conn.reply(200, b"late"))
                am.schedule(asked.set)
            if ev == MG_EV_CLOSE:
                closed.append(threading.current_thread())

        async with AsyncManager(handler) as am:
            reply = asyncio.create_task(fetch(port_of(am.listen(URL)), "/"))
            await asked.wait()
        assert (await reply).body == b"late"
        assert len(closed) == 2
        assert threading.main_thread() not in closed

    run(main)


def test_an_exception_leaves_as_it_is() -> None:
    async def main() -> None:
        am = AsyncManager(hello)

        async def body() -> None:
            async with am:
                am.listen(URL)
                raise KeyError

        with pytest.raises(KeyError):
            await body()
        assert not am.running

    run(main)


def test_websockets_and_wakeups_from_the_loop() -> None:
    async def main() -> None:
        heard: list[object] = []

        def handler(conn: Connection, ev: int, data: Any) -> None:
            if ev == MG_EV_HTTP_MSG:
                conn.ws_upgrade(data)
            if ev == MG_EV_WS_MSG and not conn.is_client:
                conn.ws_send(data.text.upper())

        def client(conn: Connection, ev: int, data: Any) -> None:
            if ev == MG_EV_WS_MSG:
                heard.append(data.text)

        async with AsyncManager(handler) as am:
            port = port_of(am.listen("ws://127.0.0.1:0"))
            conn = am.ws_connect(f"ws://127.0.0.1:{port}/", client)
            await until(lambda: conn.is_websocket)
            conn.ws_send("from the loop")
            await until(lambda: heard)
        assert heard == ["FROM THE LOOP"]

    run(main)


def test_importing_the_module_does_not_import_asyncio() -> None:
    text = "import sys, exeunt.mongoose; sys.exit('asyncio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", text], timeout=PATIENCE).returncode == 0


def test_many_clients_and_all_threads_at_once() -> None:
    async def main() -> None:
        async with AsyncManager(hello) as am:
            port = port_of(am.listen(URL))

            def hammer() -> None:
                for _ in range(200):
                    am.wakeup(1, b"x")
                    am.timer_add(1, lambda: None)
                    assert am.manager.connections

            async def ask() -> None:
                async with connected(port) as client:
                    for _ in range(20):
                        assert (await client.fetch("/")).status == 200

            threads = [asyncio.to_thread(hammer) for _ in range(4)]
            await asyncio.gather(*threads, *(ask() for _ in range(20)))

    run(main)
