"""`exeunt.serve`: answers that are sent as they come, and clients that go."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator

import pytest
from serving import URL, Gate, connected, fetch, run, until

import exeunt
from exeunt import EventStream, Request, Response, ServerSentEvent


def test_a_stream_is_sent_as_it_comes() -> None:
    more = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes | str]:
        yield "first"
        await more.wait()
        more.clear()
        yield b""
        yield b"second"

    async def handler(request: Request) -> Response:
        return Response(200, {"Content-Type": "a/b"}, pieces())

    async def main() -> None:
        async with exeunt.serve(handler, URL) as server, connected(server.port) as client:
            for _ in range(2):
                client.ask("/")
                head = await client.head()
                assert (head.status, head.fields["content-type"]) == (200, "a/b")
                assert await client.chunk() == b"first"
                more.set()
                assert await client.chunk() == b"second"
                assert await client.chunk() == b""

    run(main)


def test_a_stream_goes_no_faster_than_its_client() -> None:
    made = 0
    closed = asyncio.Event()

    async def pieces() -> AsyncGenerator[bytes, None]:
        nonlocal made
        try:
            while made < 64 * 1024 * 1024:
                made += 64 * 1024
                yield bytes(64 * 1024)
        finally:
            closed.set()

    async def handler(request: Request) -> AsyncGenerator[bytes, None]:
        return pieces()

    async def main() -> None:
        async with exeunt.serve(handler, URL) as server, connected(server.port) as client:
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            client.ask("/")
            # It comes to rest: a server that works on would make more in each of these turns.
            rest, seen = 0, -1
            while rest < 50:
                rest, seen = (rest + 1, seen) if made == seen else (0, made)
                await asyncio.sleep(0.005)
            assert 0 < made < 32 * 1024 * 1024
            client.writer.transport.resume_reading()  # type: ignore[attr-defined]
            await client.head()
            length = 0
            while piece := await client.chunk():
                length += len(piece)
            assert length == made == 64 * 1024 * 1024
        assert closed.is_set()

    run(main)


def test_a_stream_that_fails_is_not_taken_for_whole(caplog: pytest.LogCaptureFixture) -> None:
    async def pieces() -> AsyncIterator[str]:
        yield "some"
        raise ValueError("the well is dry")

    async def handler(request: Request) -> AsyncIterator[str]:
        return pieces()

    async def main() -> None:
        async with exeunt.serve(handler, URL) as server:
            async with connected(server.port) as client:
                client.ask("/")
                with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                    await client.reply()
            assert server.in_flight == 0

    with caplog.at_level(logging.ERROR, "exeunt"):
        run(main)
    assert "the well is dry" in caplog.text


def test_events() -> None:
    async def events() -> AsyncIterator[ServerSentEvent | str]:
        yield "one\r\ntwo"
        yield ServerSentEvent("", event="ping", id="7", retry=100)

    async def handler(request: Request) -> EventStream:
        return EventStream(events(), {"X-A": "1"})

    async def main() -> None:
        async with exeunt.serve(handler, URL) as server:
            reply = await fetch(server.port, "/")
            assert reply.fields["content-type"] == "text/event-stream"
            assert (reply.fields["cache-control"], reply.fields["x-a"]) == ("no-store", "1")
            assert reply.body == (
                b"data: one\ndata: two\n\nevent: ping\nid: 7\nretry: 100\ndata: \n\n"
            )

    run(main)
    for wrong in ServerSentEvent(event="a\nb"), ServerSentEvent(id="a\rb"):
        with pytest.raises(ValueError, match="no CR, LF or NUL"):
            wrong.encode()


def test_a_client_that_goes_cancels_its_handler_and_no_other() -> None:
    async def main() -> None:
        gate = Gate()
        async with exeunt.serve(gate, URL) as server, connected(server.port) as stays:
            stays.ask("/stays")
            async with connected(server.port) as client:
                client.ask("/goes")
                await until(lambda: gate.inside == 2)
                client.reset()
            await until(lambda: gate.cancelled == 1)
            assert server.in_flight == 1
            gate.open()
            assert (await stays.reply()).body == b"through"
        assert server.report is not None
        assert server.report.is_clean

    run(main)


def test_a_client_that_goes_ends_its_stream() -> None:
    closed = asyncio.Event()

    async def pieces() -> AsyncGenerator[str, None]:
        try:
            while True:
                yield "x" * 10_000
                await asyncio.sleep(0)
        finally:
            closed.set()

    async def handler(request: Request) -> AsyncGenerator[str, None]:
        return pieces()

    async def main() -> None:
        async with exeunt.serve(handler, URL) as server:
            async with connected(server.port) as client:
                client.ask("/")
                await client.head()
            await closed.wait()
            await until(lambda: server.in_flight == 0)

    run(main)


def test_a_handler_that_insists_on_its_answer_harms_nobody() -> None:
    stubborn = asyncio.Event()

    async def handler(request: Request) -> str:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            stubborn.set()
        return "too late"

    async def main() -> None:
        async with exeunt.serve(handler, URL) as server:
            async with connected(server.port) as client:
                client.ask("/")
                await until(lambda: server.in_flight == 1)
                client.reset()
            await stubborn.wait()
            await until(lambda: server.in_flight == 0)

    run(main)


def test_a_handler_whose_future_was_cancelled_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(request: Request) -> str:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future
        return "never"

    async def main() -> None:
        async with exeunt.serve(handler, URL) as server:
            # Before Python 3.11 nobody knows whether the task itself was cancelled.
            status = 500 if hasattr(asyncio.Task, "cancelling") else 503
            assert (await fetch(server.port, "/")).status == status

    run(main)


def test_a_task_that_somebody_else_cancels_is_a_503() -> None:
    async def handler(request: Request) -> str:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(1000)
        return "never"

    async def main() -> None:
        async with exeunt.serve(handler, URL) as server:
            assert (await fetch(server.port, "/")).status == 503

    run(main)


def test_a_stream_that_nobody_may_be_sent_is_not_gone_through(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pieces = 0

    async def handler(request: Request) -> Response:
        async def endless() -> AsyncGenerator[bytes, None]:
            nonlocal pieces
            while pieces < 1000:
                pieces += 1
                yield b"x"

        return Response(int(request.path[1:]), body=endless())

    async def main() -> None:
        async with exeunt.serve(handler, URL) as server, connected(server.port) as client:
            for method, status in (("HEAD", 200), ("GET", 204), ("HEAD", 204), ("GET", 304)):
                # On one connection: none of them ends it.
                assert (await client.fetch(f"/{status}", method)).status == status
            assert (await client.fetch("/205")).status == 205
            assert pieces == 0
            assert len((await client.fetch("/200")).body) == 1000
        assert server.report is not None
        assert server.report.is_clean, server.report

    run(main)
    assert not [record for record in caplog.records if record.name == "exeunt"]
