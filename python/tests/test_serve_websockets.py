"""`exeunt.serve`: WebSockets."""

import asyncio
import base64
import os
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import websocket as foreign
from serving import PATIENCE, URL, Client, connected, refused, run, until

import exeunt
from exeunt import ConnectionClosedError, Request, UpgradeError, WebSocket

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: " + base64.b64encode(bytes(16)).decode(),
)


class Peer:
    """The client's side, frame by frame (RFC 6455 section 5.2)."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def send(self, op: int, payload: bytes) -> None:
        # One by one they take their time: many bytes are masked by zeros.
        mask = os.urandom(4) if len(payload) < 1000 else bytes(4)
        masked = payload
        if any(mask):
            masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
        head = bytes([0x80 | op])
        if len(payload) < 126:
            head += bytes([0x80 | len(payload)])
        else:
            head += bytes([0x80 | 127]) + struct.pack("!Q", len(payload))
        self.client.send(head + mask + masked)

    def close(self, code: int, reason: str = "") -> None:
        self.send(CLOSE, struct.pack("!H", code) + reason.encode())

    async def frame(self) -> tuple[int, bytes]:
        first, length = await self.client.reader.readexactly(2)
        if length == 126:
            (length,) = struct.unpack("!H", await self.client.reader.readexactly(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", await self.client.reader.readexactly(8))
        return first & 15, await self.client.reader.readexactly(length)

    async def closed(self) -> int:
        """Awaits a Close; its code."""
        op, payload = await self.frame()
        assert op == CLOSE
        (code,) = struct.unpack("!H", payload[:2])
        return int(code)


@asynccontextmanager
async def upgraded(port: int, path: str = "/ws") -> AsyncGenerator[Peer, None]:
    async with connected(port) as client:
        assert (await client.fetch(path, "GET", b"", *UPGRADE)).status == 101
        yield Peer(client)


async def echo(request: Request) -> None:
    ws = await request.websocket(subprotocol="echo", headers=(("X-A", "1"),))
    async for message in ws:
        await ws.send(message)


def test_messages_go_both_ways() -> None:
    async def main() -> None:
        async with exeunt.serve(echo, URL) as server, connected(server.port) as client:
            head = await client.fetch("/ws", "GET", b"", *UPGRADE)
            assert (head.status, head.fields["x-a"]) == (101, "1")
            assert head.fields["sec-websocket-protocol"] == "echo"
            peer = Peer(client)
            for op, payload in (TEXT, "déjà".encode()), (BINARY, b"\xff"), (TEXT, b"x" * 100_000):
                peer.send(op, payload)
                assert await peer.frame() == (op, payload)
            peer.send(PING, b"there?")
            assert await peer.frame() == (PONG, b"there?")
            peer.close(1000)
            assert await peer.closed() == 1000
            assert await client.end() == b""
            await until(lambda: server.in_flight == 0)

    run(main)


def test_a_foreign_client() -> None:
    def talk(port: int) -> list[str | bytes]:
        client = foreign.create_connection(f"ws://127.0.0.1:{port}/", timeout=30)
        client.send("hello")
        heard = [client.recv()]
        client.send_binary(b"\0\1")
        heard.append(client.recv())
        client.close()
        return heard

    async def main() -> None:
        async with exeunt.serve(echo, URL) as server:
            assert await asyncio.to_thread(talk, server.port) == ["hello", b"\0\1"]

    run(main)


def test_the_end_by_the_peer_ends_the_iteration_and_tells_why() -> None:
    ends: list[tuple[int | None, str]] = []

    async def handler(request: Request) -> None:
        ws = await request.websocket()
        async for _ in ws:
            pass
        assert not ws.is_open
        ends.append((ws.close_code, ws.close_reason))
        with pytest.raises(ConnectionClosedError):
            await ws.receive()
        with pytest.raises(ConnectionClosedError) as closed:
            await ws.send("late")
        assert closed.value.code == ws.close_code

    async def main() -> None:
        async with exeunt.serve(handler, URL) as server:
            async with upgraded(server.port) as peer:
                peer.close(3000, "enough")
                assert await peer.closed() == 3000
            async with upgraded(server.port) as peer:
                peer.send(CLOSE, b"")
                await peer.frame()
            async with upgraded(server.port) as peer:
                peer.client.reset()
            await until(lambda: len(ends) == 3 and server.in_flight == 0)
        assert sorted(ends) == [(1005, ""), (1006, ""), (3000, "enough")]

    run(main)


def test_a_handler_that_returns_closes_and_one_that_fails_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def handler(request: Request) -> None:
        ws = await request.websocket()
        if request.path == "/fails":
            raise ValueError("so it goes")
        if request.path == "/closes":
            await ws.close(4000, "bye")
            await ws.close()
            assert not ws.is_open

    async def main() -> None:
        async with exeunt.serve(handler, URL) as server:
            for path, code in ("/returns", 1000), ("/fails", 1011), ("/closes", 4000):
                async with upgraded(server.port, path) as peer:
                    assert await peer.closed() == code
                    peer.close(code)
                    assert await peer.client.end() == b""
            await until(lambda: server.in_flight == 0)

    run(main)
    assert "so it goes" in caplog.text


def test_what_is_no_upgrade_is_answered_and_the_handler_is_told() -> None:
    errors: list[Exception] = []

    async def handler(request: Request) -> str | None:
        try:
            await request.websocket()
        except UpgradeError as error:
            errors.append(error)
            if request.path == "/raises":
                raise
        return "ignored"

    async def main() -> None:
        async with exeunt.serve(handler, URL) as server, connected(server.port) as client:
            assert (await client.fetch("/raises")).status == 426
            assert (await client.fetch("/returns")).status == 426
        assert len(errors) == 2

    run(main)


def test_illegal_headers_are_refused_and_the_request_may_still_be_answered() -> None:
    async def handler(request: Request) -> str:
        with pytest.raises(ValueError, match="illegal character"):
            await request.websocket(headers=(("X-A", "1\r\n2"),))
        return "plain"

    async def main() -> None:
        async with exeunt.serve(handler, URL) as server, connected(server.port) as client:
            reply = await client.fetch("/", "GET", b"", *UPGRADE)
            assert (reply.status, reply.body) == (200, b"plain")

    run(main)


def test_whoever_says_more_than_is_taken_is_held_back_and_nothing_is_lost() -> None:
    sockets: list[WebSocket] = []

    async def handler(request: Request) -> None:
        ws = await request.websocket()
        sockets.append(ws)
        await request.wait_draining()

    async def main() -> None:
        async with exeunt.serve(handler, URL) as server, upgraded(server.port) as peer:
            payload = b"x" * 200_000

            async def flood() -> None:
                for index in range(200):
                    peer.send(TEXT, b"%d " % index + payload)
                    await peer.client.writer.drain()

            task = asyncio.create_task(flood())
            await until(lambda: sockets and sockets[0]._paused)
            # It comes to rest far from the end.
            rest, seen = 0, -1
            while rest < 50:
                kept = len(sockets[0]._messages)
                rest, seen = (rest + 1, seen) if kept == seen else (0, kept)
                await asyncio.sleep(0.005)
            assert seen < 40
            assert not task.done()
            for index in range(200):
                message = await sockets[0].receive()
                assert isinstance(message, str)
                assert message.startswith(f"{index} ")
            await task

    run(main)


def test_sending_waits_for_a_peer_that_does_not_take_it() -> None:
    sent = 0

    async def handler(request: Request) -> None:
        nonlocal sent
        ws = await request.websocket()
        while ws.is_open:
            await ws.send(bytes(100_000))
            sent += 1

    async def main() -> None:
        async with exeunt.serve(handler, URL, grace=5) as server:
            async with upgraded(server.port) as peer:
                peer.client.writer.transport.pause_reading()  # type: ignore[attr-defined]
                rest, seen = 0, -1
                while rest < 50:
                    rest, seen = (rest + 1, seen) if sent == seen else (0, sent)
                    await asyncio.sleep(0.005)
                assert 0 < sent < 300
                peer.client.reset()
            await until(lambda: server.in_flight == 0)

    run(main)


def test_a_drain_lets_handlers_say_goodbye_then_says_close() -> None:
    async def handler(request: Request) -> None:
        ws = await request.websocket()
        goodbye = asyncio.create_task(request.wait_draining())
        goodbye.add_done_callback(lambda _: asyncio.ensure_future(ws.send("we close")))
        async for _ in ws:
            pass
        assert ws.close_code == 1001

    async def main() -> None:
        async with exeunt.serve(handler, URL) as server, upgraded(server.port) as peer:
            server.stop()
            assert await peer.frame() == (TEXT, b"we close")
            assert await peer.closed() == 1001
            peer.close(1001)
            assert await peer.client.end() == b""
        assert server.report is not None
        assert server.report.is_clean, server.report

    run(main)


def test_no_websocket_begins_in_a_drain() -> None:
    async def handler(request: Request) -> str:
        if request.path == "/":
            return "plain"
        await request.websocket()
        return ""

    async def main() -> None:
        limits = exeunt.ServerLimits(idle_grace_seconds=PATIENCE)
        server = exeunt.serve(handler, URL, limits=limits)
        async with server, connected(server.port) as soon, connected(server.port) as late:
            await soon.fetch("/")
            await late.fetch("/")
            server.stop()
            assert (await soon.fetch("/ws", "GET", b"", *UPGRADE)).status == 503
            await refused(server.port)
            assert (await late.fetch("/ws", "GET", b"", *UPGRADE)).status == 503

    run(main)


def test_messages_of_others_go_by() -> None:
    """A task that is no handler sends, and the handler does not look."""
    sockets: list[WebSocket] = []

    async def handler(request: Request) -> None:
        ws = await request.websocket()
        sockets.append(ws)
        await ws.wait_closed()

    async def main() -> None:
        async with exeunt.serve(handler, URL) as server:
            async with upgraded(server.port) as one, upgraded(server.port) as other:
                await until(lambda: len(sockets) == 2)
                await asyncio.gather(*(ws.send("news") for ws in sockets))
                await sockets[0].ping(b"1")
                assert await one.frame() == (TEXT, b"news")
                assert await other.frame() == (TEXT, b"news")
                with pytest.raises(ValueError, match="125"):
                    await sockets[0].ping(b"1" * 126)
            await until(lambda: server.in_flight == 0)
            with pytest.raises(ConnectionClosedError):
                await sockets[0].send("gone")
        await refused(server.port)

    run(main)
