"""P57: `GracefulServer`."""

import asyncio
import gc
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import exeunt
from exeunt import GracefulServer
from exeunt._listening import Acceptor

GOODBYE = b"goodbye\r\n"


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        writer.write(b"echo " + line)
        await writer.drain()


def run(main: Callable[[], Awaitable[None]]) -> None:
    async def patient() -> None:
        await asyncio.wait_for(main(), 40)

    asyncio.run(patient())
    gc.collect()


async def connect(server: GracefulServer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", server.port)


async def close(*writers: asyncio.StreamWriter) -> None:
    for writer in writers:
        writer.close()
        await asyncio.wait({asyncio.ensure_future(writer.wait_closed())})


async def heard(client: socket.socket, until: bytes | None = None) -> bytes:
    """What it is sent up to that, or up to the end."""
    said = b""
    while until is None or not said.endswith(until):
        more = await asyncio.get_running_loop().sock_recv(client, 4096)
        if not more:
            break
        said += more
    return said


def test_lines_that_have_arrived_are_answered() -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            await asyncio.sleep(0.001)
            writer.write(b"echo " + line)

    async def main() -> None:
        async with GracefulServer(slow, "127.0.0.1", goodbye=GOODBYE) as server:
            reader, writer = await connect(server)
            writer.write(b"".join(b"%d\n" % line for line in range(200)))
            await writer.drain()
        answers = await reader.read()
        assert answers == b"".join(b"echo %d\n" % line for line in range(200)) + GOODBYE
        assert server.report is not None
        assert server.report.is_clean
        await close(writer)

    run(main)


def test_whoever_is_in_the_queue_is_served() -> None:
    async def main() -> None:
        server = GracefulServer(echo, "127.0.0.1", goodbye=GOODBYE)
        await server.start()
        clients = []
        for number in range(20):
            # The loop has no turn in between: nobody accepts them before the stop.
            client = socket.create_connection(("127.0.0.1", server.port))
            client.sendall(b"%d\n" % number)
            clients.append(client)
        report = await server.stop()
        for number, client in enumerate(clients):
            with client, client.makefile("rb") as stream:
                assert stream.read() == b"echo %d\n" % number + GOODBYE
        assert (report.open_at_stop, report.finished, report.cut) == (20, 20, ())
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port or 9))

    run(main)


def test_whoever_comes_as_the_listener_closes_is_served() -> None:
    late: list[socket.socket] = []

    class Listener(socket.socket):
        def close(self) -> None:
            if self.fileno() >= 0 and not late:
                # The queue was looked at; the kernel lets in another.
                late.append(socket.create_connection(self.getsockname(), 20))
            super().close()

    async def main() -> None:
        listener = Listener()
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        address = listener.getsockname()
        accepted: list[socket.socket] = []
        await Acceptor([listener], accepted.append).close()
        with accepted.pop() as ours, late[0]:
            ours.sendall(b"served")
            assert late[0].recv(16) == b"served"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)

    run(main)


def test_a_client_that_does_not_read_holds_up_nobody() -> None:
    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.readline() == b"flood\n":
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()

    async def main() -> None:
        async with GracefulServer(flood, "127.0.0.1", goodbye=GOODBYE, timeout=1.0) as server:
            _, deaf = await connect(server)
            deaf.write(b"flood\n")
            good = [await connect(server) for _ in range(5)]
            peer = deaf.get_extra_info("sockname")
            deaf.transport.pause_reading()  # type: ignore[attr-defined]
            while server.connections < 6:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        for reader, writer in good:
            assert await reader.read() == GOODBYE
            await close(writer)
        assert server.report is not None
        assert server.report.cut == (f"127.0.0.1:{peer[1]}",)
        assert server.report.finished == 5
        deaf.transport.abort()

    run(main)


def test_a_client_that_sends_on_hears_the_goodbye() -> None:
    async def main() -> None:
        async with GracefulServer(echo, "127.0.0.1", goodbye=GOODBYE) as server:
            reader, writer = await connect(server)
            lines = 0
            leaving = asyncio.ensure_future(server.stop())
            heard = b""
            while not heard.endswith(GOODBYE):
                writer.write(b"line\n")
                lines += 1
                heard += await reader.read(65536)
        # All that was read was answered, in whole lines, and nothing came behind the goodbye.
        assert heard == b"echo line\n" * heard.count(b"echo") + GOODBYE
        assert heard.count(b"echo") <= lines
        assert (await leaving).is_clean
        await close(writer)

    run(main)


def test_who_sends_on_behind_the_goodbye_meets_no_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    # Long enough for any machine; the client's end is what ends the wait.
    monkeypatch.setattr("exeunt._draining.IDLE_GRACE", 20.0)
    monkeypatch.setattr("exeunt._draining.LINGER", 20.0)
    stopping = asyncio.Event()

    async def until_it_stops(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"echo " + await reader.readline())
        await stopping.wait()

    async def main() -> None:
        server = GracefulServer(until_it_stops, "127.0.0.1", goodbye=GOODBYE)
        await server.start()
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.setblocking(False)
            client.send(b"line\n")
            assert await heard(client, b"echo line\n") == b"echo line\n"
            leaving = asyncio.ensure_future(server.stop())
            await asyncio.sleep(0)
            stopping.set()
            assert await heard(client) == GOODBYE
            # Input behind a close is answered by a reset (RFC 9293, 3.10.7.4), which the next
            # write meets.
            for _ in range(20):
                assert client.send(b"late\n") == 5
                await asyncio.sleep(0.001)
            assert not leaving.done()
        assert (await leaving).is_clean

    run(main)


def test_a_line_that_comes_before_the_silence_is_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Long enough for any machine; the client's end is what ends the wait.
    monkeypatch.setattr("exeunt._draining.IDLE_GRACE", 20.0)
    monkeypatch.setattr("exeunt._draining.MOST_READING", 20.0)

    async def main() -> None:
        async with GracefulServer(echo, "127.0.0.1", goodbye=GOODBYE) as server:
            reader, writer = await connect(server)
            writer.write(b"before\n")
            assert await reader.readline() == b"echo before\n"
            leaving = asyncio.ensure_future(server.stop())
            while server.sockets:  # noqa: ASYNC110
                await asyncio.sleep(0)
            writer.write(b"behind\n")
            assert await reader.readline() == b"echo behind\n"
            writer.write_eof()
            assert await reader.read() == GOODBYE
            assert (await leaving).is_clean
            await close(writer)

    run(main)


def test_a_handler_that_hangs_is_cancelled_in_time() -> None:
    done = []

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            done.append("unwound")

    async def main() -> None:
        async with GracefulServer(hang, "127.0.0.1", timeout=0.1) as server:
            _, writer = await connect(server)
            while not server.connections:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        assert server.report is not None
        assert len(server.report.cut) == 1
        assert done == ["unwound"]
        await close(writer)

    run(main)


def test_a_handler_that_fails_harms_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.readline() == b"fail\n":
            raise ValueError("of the handler")
        writer.write(b"fine\n")

    async def main() -> None:
        async with GracefulServer(fail, "127.0.0.1") as server:
            reader, writer = await connect(server)
            writer.write(b"fail\n")
            assert await reader.read() == b""
            other, another = await connect(server)
            another.write(b"\n")
            assert await other.read() == b"fine\n"
            await close(writer, another)

    run(main)
    assert "of the handler" in caplog.text


def test_a_server_starts_once() -> None:
    async def main() -> None:
        server = GracefulServer(echo, "127.0.0.1")
        async with server:
            with pytest.raises(RuntimeError, match="make another"):
                await server.start()
            with pytest.raises(OSError, match="cannot listen on"):
                await GracefulServer(echo, "127.0.0.1", server.port).start()
        assert await server.stop() is server.report
        with pytest.raises(RuntimeError, match=r"exeunt\.run"):
            await GracefulServer(echo).run()

    run(main)


def test_a_program_stops_its_server() -> None:
    async def main(app: exeunt.App) -> Any:
        server = GracefulServer(echo, "127.0.0.1", goodbye=GOODBYE)

        async def client() -> bytes:
            reader, writer = await connect(server)
            writer.write(b"line\n")
            heard = await reader.readline()
            app.request_stop("the test is over")
            heard += await reader.read()
            await close(writer)
            return heard

        async def ask() -> bytes:
            while not server.sockets:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            return await client()

        asking = app.spawn(ask())
        report = await server.run()
        assert report.is_clean
        return await asking

    assert exeunt.run(main) == b"echo line\n" + GOODBYE
    report = exeunt.last_report()
    assert report is not None
    assert report.is_clean
    assert report.cause == "the test is over"
