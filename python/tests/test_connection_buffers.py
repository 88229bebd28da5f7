"""What waits to be read and to be sent, on TCP and UDP (P10)."""

import socket
import threading
from typing import Any

import pytest
from wire import LIMIT, connected, is_readable, loop, port_of, to_the_end

from exeunt.mongoose import MG_EV_READ, Connection


def test_tcp_writes_are_buffered_until_a_later_poll() -> None:
    with loop() as at:
        port = at.listen("tcp://127.0.0.1:0")
        with connected(port) as sock:
            at.until(lambda: len(at.manager.connections) == 2)
            accepted = at.manager.connections[1]
            accepted.send("für")
            accepted.send(bytearray(b"\x00"))
            assert (accepted.send_len, accepted.send_data()) == (5, b"f\xc3\xbcr\x00")
            assert accepted.send_size >= 5
            assert (accepted.send_data(2), accepted.send_data(0), accepted.send_data(-9)) == (
                b"f\xc3",
                b"",
                b"f\xc3\xbcr\x00",
            )
            assert accepted.is_writable
            assert not is_readable(sock)
            at.until(lambda: accepted.send_len == 0)
            assert sock.recv(9) == b"f\xc3\xbcr\x00"
            accepted.drain()
            at.until(lambda: len(at.manager.connections) == 1)
            assert to_the_end(sock) == b"", "the client sees EOF"


def test_raw_data_is_never_consumed_for_the_program() -> None:
    seen: list[bytes] = []

    def handler(conn: Connection, ev: int, data: Any) -> None:
        if ev == MG_EV_READ:
            assert data is None
            seen.append(conn.recv_data())
            if len(seen) == 2:
                assert conn.recv_data(3) == b"one"
                assert conn.recv_data(10**12) == b"onetwo"
                assert conn.consume(3) == 3
                assert (conn.recv_len, conn.recv_data()) == (3, b"two")

    with loop(handler) as at, connected(at.listen("tcp://127.0.0.1:0")) as sock:
        for count, piece in enumerate((b"one", b"two", b"three"), 1):
            sock.sendall(piece)
            at.until(lambda count=count: len(seen) == count)  # type: ignore[misc]
        accepted = at.manager.connections[1]
        assert (accepted.consume(), accepted.consume(), accepted.recv_len) == (8, 0, 0)
        assert accepted.recv_size < 1 << 20, "buffers of an idle connection stay under 1 MiB"
    assert seen == [b"one", b"onetwo", b"twothree"]


def test_who_sends_more_than_is_consumed_waits() -> None:
    total = 3 << 20
    with loop() as at, connected(at.listen("tcp://127.0.0.1:0")) as sock:
        sender = threading.Thread(target=sock.sendall, args=(bytes(total),))
        sender.start()
        at.until(lambda: len(at.manager.connections) == 2)
        accepted = at.manager.connections[1]
        at.until(lambda: accepted.is_full)
        assert accepted.recv_len < 2 << 20
        got = 0
        while got < total:
            got += accepted.consume()
            at.turns(1)
        sender.join(LIMIT)
        assert not accepted.is_full


@pytest.mark.parametrize("length", [1 << 70, -(1 << 70)])
def test_lengths_are_64_bits(length: int) -> None:
    with loop() as at:
        listener = at.manager.listen("tcp://127.0.0.1:0")
        for call in (listener.recv_data, listener.send_data, listener.consume):
            with pytest.raises(OverflowError):
                call(length)
            with pytest.raises(TypeError):
                call("1")  # type: ignore[arg-type]


def test_udp_sends_at_once_and_knows_who_sent_last() -> None:
    got: list[tuple[bytes, Any]] = []

    def handler(conn: Connection, ev: int, data: Any) -> None:
        if ev == MG_EV_READ:
            got.append((conn.recv_data(), conn.remote_addr))
            conn.send(b"to you: " + conn.recv_data())

    with loop(handler) as at, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(LIMIT)
        sock.bind(("127.0.0.1", 0))
        listener = at.manager.listen("udp://127.0.0.1:0")
        with pytest.raises(RuntimeError):
            listener.send("to nobody")
        at.check()
        sock.sendto(b"hello", ("127.0.0.1", port_of(listener)))
        at.until(lambda: got)
        assert got == [(b"hello", ("127.0.0.1", sock.getsockname()[1], False))]
        assert sock.recv(99) == b"to you: hello"
        client = at.manager.connect(f"udp://127.0.0.1:{sock.getsockname()[1]}", lambda *_: None)
        client.send("one")
        assert client.send_len == 0
        assert sock.recv(99) == b"one", "without any poll"
