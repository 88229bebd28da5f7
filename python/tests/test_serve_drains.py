"""`exeunt.serve`: how it leaves the stage (rules D1 to D8)."""

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress

import pytest
from serving import PATIENCE, URL, Client, Gate, Reply, connected, fetch, refused, run, until
from test_serve_websockets import upgraded

import exeunt
from exeunt import Request, ServerReport


def report_of(server: exeunt.Server) -> ServerReport:
    assert server.report is not None
    return server.report


def test_what_is_in_flight_is_answered_and_what_is_silent_closes() -> None:
    async def main() -> None:
        gate = Gate()
        async with (
            exeunt.serve(gate, URL) as server,
            connected(server.port) as asks,
            connected(server.port) as silent,
        ):
            asks.ask("/")
            await until(lambda: gate.inside == 1)
            server.stop()
            server.stop()
            assert server.draining
            await refused(server.port)
            assert await silent.end() == b""
            assert server.report is None
            gate.open()
            reply = await asks.reply()
            assert (reply.body, reply.fields["connection"]) == (b"through", "close")
            # Its end would be awaited for a while (rule D7).
            asks.reset()
            stopped = await server.wait_stopped()
        assert stopped is report_of(server)
        assert stopped.is_clean
        assert str(stopped).startswith("drained in ")
        assert server.addresses

    run(main)


def test_the_deadline_cuts_and_all_is_in_the_report() -> None:
    class Stubborn(Gate):
        async def __call__(self, request: Request) -> str:
            if request.path == "/stubborn":
                with suppress(asyncio.CancelledError):
                    await asyncio.sleep(1000)
                await asyncio.sleep(1000)
            return await super().__call__(request)

    async def main() -> None:
        gate = Stubborn()
        server = exeunt.serve(gate, URL, grace=1.0)
        async with connected_pair(server) as (one, other):
            one.ask("/slow")
            other.ask("/stubborn")
            await until(lambda: server.in_flight == 2)
            began = asyncio.get_running_loop().time()
            await server.__aexit__(None, None, None)
            took = asyncio.get_running_loop().time() - began
            # By the kernel's clock it is over within the grace period; a busy machine may be later.
            assert 0.8 <= took < PATIENCE / 2
            assert [(await client.reply()).status for client in (one, other)] == [503, 503]
        report = report_of(server)
        assert (gate.cancelled, report.cut_count, report.is_clean) == (1, 2, False)
        assert sorted(cut.name for cut in report.cut) == ["GET /slow", "GET /stubborn"]
        assert all(cut.peer and cut.peer.startswith("127.0.0.1:") for cut in report.cut)
        assert sorted(name.split(" for ")[0] for name in report.cancelled) == [
            "GET /slow",
            "GET /stubborn",
        ]
        assert [name.split(" for ")[0] for name in report.unfinished] == ["GET /stubborn"]
        assert "did not end: GET /stubborn for 127.0.0.1:" in str(report)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            if task.get_name() == "GET /stubborn":
                task.cancel()
        await until(lambda: not any(t.get_name() == "GET /stubborn" for t in asyncio.all_tasks()))

    run(main)


class connected_pair:  # noqa: N801
    """A server that was entered by hand, and two clients."""

    def __init__(self, server: exeunt.Server) -> None:
        self._server = server

    async def __aenter__(self) -> tuple["Client", "Client"]:
        await self._server.__aenter__()
        self._stack = AsyncExitStack()
        one = await self._stack.enter_async_context(connected(self._server.port))
        other = await self._stack.enter_async_context(connected(self._server.port))
        return one, other

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()


def test_an_exception_leaves_by_a_drain_and_goes_on() -> None:
    async def main() -> None:
        gate = Gate()
        asked: list[asyncio.Task[Reply]] = []
        server = exeunt.serve(gate, URL)

        async def body() -> None:
            async with server:
                asked.append(asyncio.create_task(fetch(server.port, "/")))
                await until(lambda: gate.inside == 1)
                asyncio.get_running_loop().call_later(0.05, gate.open)
                raise KeyError

        with pytest.raises(KeyError):
            await body()
        assert (await asked[0]).body == b"through"
        assert report_of(server).is_clean

    run(main)


@pytest.mark.parametrize("cancellations", [1, 2, 3])
def test_a_cancellation_drains_a_second_one_cuts_and_a_third_waits_for_nothing(
    cancellations: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if cancellations == 3:
        monkeypatch.setattr("exeunt._server.server._HURRY", 1000)
    swallowed = 0

    async def stubborn(request: Request) -> str:
        nonlocal swallowed
        while True:
            try:
                await asyncio.sleep(0.05 if cancellations == 1 else PATIENCE)
            except asyncio.CancelledError:
                swallowed += 1
                if cancellations == 3 and swallowed == 1:
                    continue
                raise
            return "done"

    async def main() -> None:
        servers: list[exeunt.Server] = []

        async def body() -> None:
            async with exeunt.serve(stubborn, URL) as server:
                servers.append(server)
                await server.serve_forever()

        task = asyncio.create_task(body())
        await until(lambda: servers)
        (server,) = servers
        asked = asyncio.create_task(fetch(server.port, "/"))
        await until(lambda: server.in_flight == 1)
        task.cancel()
        await until(lambda: server.draining)
        if cancellations > 1:
            assert server.report is None
            task.cancel()
            assert (await asked).status == 503
        if cancellations == 3:
            await until(lambda: swallowed == 1)
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        report = report_of(server)
        assert (await asked).status == (200 if cancellations == 1 else 503)
        assert (len(report.cancelled), len(report.unfinished)) == {
            1: (0, 0),
            2: (1, 0),
            3: (1, 1),
        }[cancellations]
        for left in asyncio.all_tasks():
            if left.get_name() == "GET /":
                left.cancel()
        await until(lambda: server.in_flight == 0)

    run(main)


def test_a_cancellation_of_the_drain_alone_leaves_the_block() -> None:
    async def main() -> None:
        gate = Gate()
        server = exeunt.serve(gate, URL)
        await server.__aenter__()
        asked = asyncio.create_task(fetch(server.port, "/"))
        await until(lambda: gate.inside == 1)
        leaving = asyncio.create_task(server.__aexit__(None, None, None))
        await until(lambda: server.draining)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        assert report_of(server).cut_count == 1
        assert (await asked).status == 503

    run(main)


def test_a_websocket_handler_is_cancelled_at_the_deadline() -> None:
    cancelled = False

    async def handler(request: Request) -> None:
        nonlocal cancelled
        ws = await request.websocket()
        await ws.wait_closed()
        # Something of its own goes on.
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            cancelled = True
            raise

    async def main() -> None:
        async with exeunt.serve(handler, URL, grace=0.5) as server:
            async with upgraded(server.port) as peer:
                peer.close(1000)
                assert await peer.closed() == 1000
            assert server.in_flight == 1
        report = report_of(server)
        assert cancelled
        assert [name.split(" for ")[0] for name in report.cancelled] == ["GET /ws"]
        assert not report.is_clean

    run(main)


def test_the_loop_forgets_it() -> None:
    async def main() -> None:
        async with exeunt.serve(Gate(), URL) as server:
            assert server._drive is not None
            watched = server._drive._watched
        assert not asyncio.get_running_loop().remove_reader(watched)

    run(main)


def test_serve_forever_ends_by_stop_and_leaving_waits_for_the_drain() -> None:
    async def main() -> None:
        gate = Gate()
        async with exeunt.serve(gate, URL) as server:
            asked = asyncio.create_task(fetch(server.port, "/"))
            await until(lambda: gate.inside == 1)
            asyncio.get_running_loop().call_soon(server.stop)
            await server.serve_forever()
            await server.wait_draining()
            gate.open()
        assert (await asked).status == 200

    run(main)


def test_streams_hear_of_the_drain_and_may_end_well() -> None:
    async def handler(request: Request) -> AsyncIterator[str]:
        async def pieces() -> AsyncIterator[str]:
            yield "begun "
            await request.wait_draining()
            assert request.draining
            yield "ended"

        return pieces()

    async def main() -> None:
        async with exeunt.serve(handler, URL) as server, connected(server.port) as client:
            client.ask("/")
            await client.head()
            assert await client.chunk() == b"begun "
            server.stop()
            assert await client.chunk() == b"ended"
            assert await client.chunk() == b""
            assert await client.end() == b""
        assert report_of(server).is_clean

    run(main)


def test_a_request_in_the_queue_is_answered() -> None:
    async def handler(request: Request) -> str:
        return "ok"

    async def main() -> None:
        async with exeunt.serve(handler, URL) as server:
            opened = [asyncio.open_connection("127.0.0.1", server.port) for _ in range(20)]
            streams = await asyncio.gather(*opened)
            for _, writer in streams:
                writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            # Nobody has been accepted since: the loop had no turn.
        for reader, writer in streams:
            assert (await reader.read()).endswith(b"ok")
            writer.close()
            await writer.wait_closed()
        assert report_of(server).is_clean

    run(main)


@pytest.mark.parametrize("stops", [3, pytest.param(20, marks=pytest.mark.soak)])
def test_a_drain_under_load_loses_nothing(stops: int) -> None:
    """Kept connections and fresh ones; each request that was begun before the end is answered."""

    async def handler(request: Request) -> str:
        await asyncio.sleep(0.001)
        return request.path

    async def kept(port: int, answered: list[int]) -> None:
        async with connected(port) as client:
            for index in itertools.count():
                reply = await client.fetch(f"/{index}")
                assert (reply.status, reply.body) == (200, f"/{index}".encode())
                answered.append(index)
                if reply.fields.get("connection") == "close":
                    return

    async def fresh(port: int, answered: list[int]) -> None:
        for index in itertools.count():
            try:
                client = connected(port)
                opened = await client.__aenter__()
            except ConnectionRefusedError:
                return
            reply = await opened.fetch(f"/{index}")
            assert (reply.status, reply.body) == (200, f"/{index}".encode())
            answered.append(index)
            await client.__aexit__(None, None, None)

    async def main() -> None:
        for _ in range(stops):
            await stop_under_load()

    async def stop_under_load() -> None:
        answered: list[int] = []
        async with exeunt.serve(handler, URL) as server:
            load = [asyncio.create_task(kept(server.port, answered)) for _ in range(16)]
            load += [asyncio.create_task(fresh(server.port, answered)) for _ in range(8)]
            await until(lambda: len(answered) > 200)
        await asyncio.gather(*load)
        assert report_of(server).is_clean, report_of(server)

    run(main)


def test_a_grace_of_nothing_cuts_at_once() -> None:
    async def main() -> None:
        gate = Gate()
        async with exeunt.serve(gate, URL, grace=0) as server:
            asked = asyncio.create_task(fetch(server.port, "/"))
            await until(lambda: gate.inside == 1)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError, AssertionError)):
            assert (await asked).status == 200
        await until(lambda: gate.cancelled == 1)

    run(main)


def test_handlers_that_fail_in_the_drain_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(request: Request) -> str:
        await request.wait_draining()
        raise ValueError("late")

    async def main() -> None:
        async with exeunt.serve(handler, URL) as server:
            asked = asyncio.create_task(fetch(server.port, "/"))
            await until(lambda: server.in_flight == 1)
        assert (await asked).status == 500

    with caplog.at_level(logging.ERROR, "exeunt"):
        run(main)
    assert "late" in caplog.text
