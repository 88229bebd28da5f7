"""WebSockets, of a server and of a client (P15)."""

import socket
import struct
from typing import Any

import pytest
from wire import GET, LIMIT, asked, connected, heads, loop, port_of, serving, split, to_the_end
from ws_wire import CLOSE, UPGRADE, echo, frame, talking

from exeunt.mongoose import (
    MG_EV_CLOSE,
    MG_EV_ERROR,
    MG_EV_HTTP_MSG,
    MG_EV_OPEN,
    MG_EV_POLL,
    MG_EV_READ,
    MG_EV_WS_CTL,
    MG_EV_WS_MSG,
    MG_EV_WS_OPEN,
    WEBSOCKET_OP_BINARY,
    WEBSOCKET_OP_PING,
    WEBSOCKET_OP_PONG,
    Connection,
    HttpMessage,
    WsMessage,
)


def test_websocket_client_talks_to_a_server() -> None:
    with serving(echo, "ws://127.0.0.1:0") as port:
        client = talking(port)
        client.send("für")
        assert client.recv() == "für"
        client.send_binary(b"\x00\xff")
        assert client.recv() == b"\x00\xff"
        client.send("x" * 1_000_000)
        assert client.recv() == "x" * 1_000_000
        client.ping("are you there")
        assert client.recv_data(control_frame=True) == (WEBSOCKET_OP_PONG, b"are you there")
        client.close(timeout=LIMIT)


def test_a_message_has_text_data_and_flags() -> None:
    seen: list[tuple[str, bytes, int, bool]] = []
    views: list[WsMessage] = []

    def handler(conn: Connection, ev: int, data: Any) -> None:
        echo(conn, ev, data)
        if ev == MG_EV_WS_MSG:
            views.append(data)
            seen.append((data.text, data.data, data.flags, bool(data)))
            assert "bytes" in repr(data)

    with serving(handler) as port:
        client = talking(port)
        client.send("für")
        client.send_binary(b"a\xff")
        assert client.recv() == "für"
        assert client.recv() == b"a\xff"
        client.close(timeout=LIMIT)
    assert seen == [("für", "für".encode(), 129, True), ("a\udcff", b"a\xff", 130, True)]
    for view in [*views, WsMessage.__new__(WsMessage)]:
        assert not view
        assert (view.text, view.data, view.flags) == ("", b"", 0)
        assert "returned" in repr(view)


def test_ws_open_fires_inside_ws_upgrade() -> None:
    told: list[object] = []

    def handler(conn: Connection, ev: int, data: Any) -> None:
        if ev == MG_EV_HTTP_MSG:
            told.append("before")
            assert not conn.is_websocket
            conn.ws_upgrade(data, {"X-Rate": "50%s%n", "Sec-WebSocket-Protocol": "chat"})
            told.append("after")
            assert data, "the view is valid until its handler has returned"
        elif ev == MG_EV_WS_OPEN:
            assert conn.is_websocket
            told.append((type(data), data.uri, data.query, data.header("host")))
            conn.ws_send("welcome")

    with serving(handler) as port, connected(port) as sock:
        sock.sendall(UPGRADE)
        answer = heads(sock)
    assert told == ["before", (HttpMessage, "/chat", "x=1", "test"), "after"]
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in answer
    assert b"X-Rate: 50%s%n\r\n" in answer, "% in headers is harmless"
    assert b"Sec-WebSocket-Protocol: chat\r\n" in answer


def test_a_request_that_is_no_upgrade_gets_426() -> None:
    with serving(echo) as port:
        status, headers, _ = split(asked(port, GET))
        assert (status, headers["upgrade"]) == (426, "websocket")
        client = talking(port)
        client.send("the server goes on")
        assert client.recv() == "the server goes on"
        client.close(timeout=LIMIT)


def test_an_invalid_view_is_a_value_error() -> None:
    kept: list[HttpMessage] = []

    def handler(conn: Connection, ev: int, data: Any) -> None:
        if ev != MG_EV_HTTP_MSG:
            return
        for view in (None, HttpMessage.__new__(HttpMessage), *kept):
            with pytest.raises(ValueError, match="HttpMessage is not valid"):
                conn.ws_upgrade(view)
        with pytest.raises(TypeError):
            conn.ws_upgrade("view")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="written by the handshake itself"):
            conn.ws_upgrade(data, {"Sec-WebSocket-Accept": "x"})
        assert conn.send_len == 0
        kept.append(data)
        conn.ws_upgrade(data)

    with serving(handler) as port:
        for _ in range(2):
            with connected(port) as sock:
                sock.sendall(UPGRADE)
                assert heads(sock).startswith(b"HTTP/1.1 101 ")


def test_a_view_of_another_connection_is_a_value_error() -> None:
    conns: list[Connection] = []
    answered: list[int] = []

    def handler(conn: Connection, ev: int, data: Any) -> None:
        if ev != MG_EV_HTTP_MSG:
            return
        conns.append(conn)
        if len(conns) == 2:
            for call in (conns[0].ws_upgrade, lambda view: conns[0].serve_dir(view, "/")):
                with pytest.raises(ValueError, match="HttpMessage is not valid"):
                    call(data)
            for each in conns:
                each.reply(200)
                answered.append(each.id)

    with serving(handler) as port, connected(port) as one, connected(port) as two:
        one.sendall(UPGRADE)
        two.sendall(UPGRADE)
        assert heads(one).startswith(b"HTTP/1.1 200 ")
        assert heads(two).startswith(b"HTTP/1.1 200 ")
    assert len(set(answered)) == 2


def test_order_of_events() -> None:
    told: list[tuple[int, type[Any]]] = []

    def handler(conn: Connection, ev: int, data: Any) -> None:
        if not conn.is_listening and ev != MG_EV_POLL:
            told.append((ev, type(data)))
        echo(conn, ev, data)

    none = type(None)
    with loop(handler) as at, connected(at.listen("ws://127.0.0.1:0")) as sock:
        sock.sendall(UPGRADE)
        at.until(lambda: (MG_EV_WS_OPEN, HttpMessage) in told)
        start = told.index((MG_EV_HTTP_MSG, HttpMessage))
        assert told[start : start + 3] == [
            (MG_EV_HTTP_MSG, HttpMessage),
            (MG_EV_WS_OPEN, HttpMessage),
            (MG_EV_READ, none),
        ]
        del told[:]
        sock.sendall(frame(1, b"one") + frame(WEBSOCKET_OP_PING, b"") + frame(1, b"two"))
        at.until(lambda: (MG_EV_READ, none) in told)
        assert told[:4] == [
            (MG_EV_WS_MSG, WsMessage),
            (MG_EV_WS_CTL, none),
            (MG_EV_WS_MSG, WsMessage),
            (MG_EV_READ, none),
        ], "WS_MSG before READ; WS_CTL carries None"
        del told[:]
        sock.sendall(frame(CLOSE, struct.pack("!H", 1000)))
        sock.shutdown(socket.SHUT_WR)
        at.until(lambda: (MG_EV_CLOSE, none) in told)
        assert told[0] == (MG_EV_WS_CTL, none)
        assert told[-1] == (MG_EV_CLOSE, none)
        assert to_the_end(sock).endswith(b"\x88\x02\x03\xe8"), "closes are echoed"


def test_a_client_of_our_own() -> None:
    told: list[object] = []

    def client(conn: Connection, ev: int, data: Any) -> None:
        if ev == MG_EV_WS_OPEN:
            told.append((conn.is_websocket, conn.is_client, data.status(), data.header("x-one")))
            conn.ws_send("one")
            conn.ws_send(b"\x00\xff", WEBSOCKET_OP_BINARY)
            conn.ws_send("", WEBSOCKET_OP_PING)
        elif ev == MG_EV_WS_MSG:
            told.append((data.data, data.flags))
            if data.flags & 2:
                conn.ws_send(b"", CLOSE)
        elif ev in (MG_EV_WS_CTL, MG_EV_CLOSE, MG_EV_ERROR):
            told.append((ev, data))

    def server(conn: Connection, ev: int, data: Any) -> None:
        if ev == MG_EV_HTTP_MSG:
            conn.ws_upgrade(data, {"X-One": "1"})
        else:
            echo(conn, ev, data)

    with loop(server) as at:
        port = at.listen("ws://127.0.0.1:0")
        at.manager.ws_connect(f"ws://127.0.0.1:{port}/chat", client)
        at.until(lambda: (MG_EV_CLOSE, None) in told)
    assert told[0] == (True, True, 101, "1"), "WS_OPEN carries the answer"
    assert told[1:3] == [(b"one", 129), (b"\x00\xff", 130)]
    assert told[3:] == [(MG_EV_WS_CTL, None), (MG_EV_WS_CTL, None), (MG_EV_CLOSE, None)]


def test_a_client_that_is_refused_is_told_why() -> None:
    told: list[tuple[int, object]] = []

    def client(conn: Connection, ev: int, data: Any) -> None:
        if ev not in (MG_EV_POLL, MG_EV_OPEN):
            told.append((ev, data.status() if ev == MG_EV_HTTP_MSG else data))

    def server(conn: Connection, ev: int, data: Any) -> None:
        if ev == MG_EV_HTTP_MSG:
            conn.reply(403)

    with loop(server) as at:
        listener = at.manager.listen("http://127.0.0.1:0")
        at.manager.ws_connect(f"ws://127.0.0.1:{port_of(listener)}/", client)
        at.until(lambda: (MG_EV_CLOSE, None) in told)
    assert (MG_EV_HTTP_MSG, 403) in told
    (error,) = (data for ev, data in told if ev == MG_EV_ERROR)
    assert "opened no WebSocket" in str(error)
