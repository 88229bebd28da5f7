"""Frames of WebSockets: which are sent, and which are refused (P15)."""

import struct
from collections.abc import Callable
from typing import Any

import pytest
from wire import GET, LIMIT, asked, connected, heads, serving, split, to_the_end
from ws_wire import CLOSE, UPGRADE, echo, frame, talking

from exeunt.mongoose import (
    MG_EV_ERROR,
    MG_EV_HTTP_MSG,
    MG_EV_WS_MSG,
    MG_EV_WS_OPEN,
    WEBSOCKET_OP_BINARY,
    WEBSOCKET_OP_PING,
    WEBSOCKET_OP_PONG,
    WEBSOCKET_OP_TEXT,
    Connection,
)


@pytest.mark.parametrize(
    ("data", "op", "sent"),
    [
        ("für", WEBSOCKET_OP_TEXT, b"\x81\x04f\xc3\xbcr"),
        (b"a\xff", WEBSOCKET_OP_BINARY, b"\x82\x02a\xff"),
        ("text", WEBSOCKET_OP_BINARY, b"\x82\x04text"),
        (b"there?", WEBSOCKET_OP_PING, b"\x89\x06there?"),
        (bytearray(b"here"), WEBSOCKET_OP_PONG, b"\x8a\x04here"),
        (b"", CLOSE, b"\x88\x00"),
        (b"\x03\xe9bye", CLOSE, b"\x88\x05\x03\xe9bye"),
    ],
)
def test_ws_send_sends_frames(data: Any, op: int, sent: bytes) -> None:
    def handler(conn: Connection, ev: int, view: Any) -> None:
        echo(conn, ev, view)
        if ev == MG_EV_WS_OPEN:
            before = conn.send_len
            conn.ws_send(data, op)
            assert conn.send_data()[before:] == sent
            if op == CLOSE:
                with pytest.raises(RuntimeError, match="closed"):
                    conn.ws_send("behind the Close")

    with serving(handler) as port, connected(port) as sock:
        sock.sendall(UPGRADE)
        assert heads(sock)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda conn: conn.ws_send(b"\xff"), ValueError),
        (lambda conn: conn.ws_send("\udc80"), ValueError),
        (lambda conn: conn.ws_send(b"x" * 126, 9), ValueError),
        (lambda conn: conn.ws_send(b"x", 8), ValueError),
        (lambda conn: conn.ws_send(b"\x03\xed", 8), ValueError),
        (lambda conn: conn.ws_send("x", 0), ValueError),
        (lambda conn: conn.ws_send("x", 3), ValueError),
        (lambda conn: conn.ws_send("x", -1), ValueError),
        (lambda conn: conn.ws_send("x", 1 << 70), OverflowError),
        (lambda conn: conn.ws_send("x", "1"), TypeError),
        (lambda conn: conn.ws_send(1), TypeError),
        (lambda conn: conn.send("raw"), RuntimeError),
        (lambda conn: conn.reply(200), RuntimeError),
        (lambda conn: conn.http_chunk("x"), RuntimeError),
    ],
)
def test_what_is_no_frame_is_refused_before_anything_is_sent(
    call: Callable[[Connection], object], error: type[Exception]
) -> None:
    def handler(conn: Connection, ev: int, data: Any) -> None:
        echo(conn, ev, data)
        if ev == MG_EV_WS_OPEN:
            before = conn.send_len
            with pytest.raises(error):
                call(conn)
            assert conn.send_len == before

    with serving(handler) as port, connected(port) as sock:
        sock.sendall(UPGRADE)
        assert heads(sock)


def test_ws_send_needs_a_websocket() -> None:
    def handler(conn: Connection, ev: int, data: Any) -> None:
        if ev == MG_EV_HTTP_MSG:
            with pytest.raises(RuntimeError, match="no WebSocket"):
                conn.ws_send("x")
            conn.reply(200)

    with serving(handler) as port:
        assert split(asked(port, GET))[0] == 200


@pytest.mark.parametrize(
    "garbage",
    [
        b"\xff" * 100,
        b"\x81\x05hello",
        frame(1, b"\xff"),
        frame(3, b""),
        frame(9, b"", first=0),
        b"\x82\xff" + struct.pack("!Q", 1 << 30) + bytes(4),
        b"\x82\xff" + struct.pack("!Q", (1 << 63) + 1) + bytes(4),
    ],
    ids=["ones", "unmasked", "no UTF-8", "reserved", "cut control", "1 GiB", "negative"],
)
def test_garbage_harms_nobody_else(garbage: bytes) -> None:
    told: list[int] = []

    def handler(conn: Connection, ev: int, data: Any) -> None:
        told.append(ev)
        echo(conn, ev, data)

    with serving(handler) as port:
        other = talking(port)
        with connected(port) as sock:
            sock.sendall(UPGRADE)
            heads(sock)
            sock.sendall(garbage)
            assert to_the_end(sock)[:1] == b"\x88", "the peer is told why"
        other.send("still here")
        assert other.recv() == "still here"
        other.close(timeout=LIMIT)
    assert MG_EV_ERROR in told
    assert told.count(MG_EV_WS_MSG) == 1
