"""Connections that the program makes: HTTP asked in its own words, names, what fails (P17)."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from wire import GET, LIMIT, Handler, Loop, answering, loop, port_of, to_the_end

from exeunt.mongoose import (
    MG_EV_CLOSE,
    MG_EV_CONNECT,
    MG_EV_ERROR,
    MG_EV_HTTP_HDRS,
    MG_EV_HTTP_MSG,
    MG_EV_OPEN,
    MG_EV_POLL,
    MG_EV_READ,
    MG_EV_RESOLVE,
    Connection,
)


@contextmanager
def foreign(answer: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """A server of one client, which answers the first head with that, whatever it is, and ends."""
    got: list[bytes] = []

    def serve() -> None:
        sock, _ = listener.accept()
        with sock:
            sock.settimeout(LIMIT)
            request = b""
            while b"\r\n\r\n" not in request:
                piece = sock.recv(65536)
                if not piece:
                    return
                request += piece
            got.append(request)
            sock.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(LIMIT)
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1], got
        thread.join(LIMIT)


def asking(request: bytes, told: list[tuple[int, Any]]) -> Handler:
    """A handler that asks so when it is connected, and writes down what it is told."""

    def handler(conn: Connection, ev: int, data: Any) -> None:
        if ev == MG_EV_CONNECT:
            conn.send(request)
        if ev in (MG_EV_HTTP_MSG, MG_EV_HTTP_HDRS):
            data = (data.status(), data.body_bytes, data.method, data.uri, data.proto, data.query)
        if ev != MG_EV_POLL:
            told.append((ev, data))

    return handler


def asked(at: Loop, port: int, request: bytes = GET) -> list[tuple[int, Any]]:
    """What a client is told that asks so, up to its end."""
    told: list[tuple[int, Any]] = []
    at.manager.connect(f"http://127.0.0.1:{port}", asking(request, told))
    at.until(lambda: told[-1] == (MG_EV_CLOSE, None))
    return told


@pytest.mark.parametrize(
    ("answer", "status", "reason", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "OK", b"hello"),
        (
            b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
            404,
            "Not Found",
            b"hello",
        ),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil close", 200, "OK", b"until close"),
        (b"HTTP/1.0 500 \r\nContent-Length: 0\r\n\r\n", 500, "", b""),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", 204, "No Content", b""),
    ],
    ids=["length", "chunked", "until close", "1.0", "interim"],
)
def test_http_msg_for_bodies_of_all_kinds(
    answer: bytes, status: int, reason: str, body: bytes
) -> None:
    with loop() as at, foreign(answer) as (port, got):
        told = asked(at, port)
    assert got == [GET]
    (message,) = (data for ev, data in told if ev == MG_EV_HTTP_MSG)
    version = answer[:8].decode()
    assert message == (status, body, version, str(status), reason, "")
    events = [ev for ev, _ in told]
    assert events.index(MG_EV_HTTP_HDRS) < events.index(MG_EV_HTTP_MSG)
    assert MG_EV_ERROR not in events


@pytest.mark.parametrize(
    "answer",
    [
        b"garbage\r\n\r\n",
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy",
    ],
    ids=["garbage", "nothing", "cut", "chunks", "two lengths"],
)
def test_an_answer_that_is_none_is_an_error(answer: bytes) -> None:
    with loop() as at, foreign(answer) as (port, _):
        told = asked(at, port)
    events = [ev for ev, _ in told]
    assert MG_EV_HTTP_MSG not in events
    (text,) = (data for ev, data in told if ev == MG_EV_ERROR)
    assert isinstance(text, str)
    assert text
    assert events[-1] == MG_EV_CLOSE


def test_http_basic_auth_writes_its_header_at_once() -> None:
    seen: list[object] = []

    def client(conn: Connection, ev: int, data: Any) -> None:
        if ev == MG_EV_CONNECT:
            conn.send("GET / HTTP/1.1\r\nHost: test\r\n")
            before = conn.send_len
            conn.http_basic_auth("me", "für")
            assert conn.send_len > before
            assert conn.send_data().endswith(b"Authorization: Basic bWU6ZsO8cg==\r\n")
            for user, password in (("a:b", "c"), ("a", "b\r\n"), ("\0", "")):
                with pytest.raises(ValueError, match="RFC 7617"):
                    conn.http_basic_auth(user, password)
            conn.send("\r\n")
        elif ev == MG_EV_HTTP_MSG:
            seen.append(data.body_text)

    with loop(answering(lambda conn, data: conn.reply(200, data.header("authorization")))) as at:
        at.manager.connect(f"http://127.0.0.1:{at.listen()}", client)
        at.until(lambda: seen)
    assert seen == ["Basic bWU6ZsO8cg=="]


def test_http_basic_auth_on_an_idle_connection() -> None:
    with loop() as at:
        conn = at.manager.connect(f"http://127.0.0.1:{at.listen()}")
        conn.http_basic_auth("user", "pass")
        assert conn.send_len > 0
        assert conn.send_data() == b"Authorization: Basic dXNlcjpwYXNz\r\n"


def test_many_requests_on_one_connection() -> None:
    told: list[str] = []

    def client(conn: Connection, ev: int, data: Any) -> None:
        if ev == MG_EV_CONNECT:
            conn.send(GET + GET)
        elif ev == MG_EV_HTTP_MSG:
            told.append(data.body_text)
            if len(told) < 20:
                conn.send(GET)
            else:
                conn.drain()
        elif ev == MG_EV_CLOSE:
            told.append("close")

    with loop(answering(lambda conn, _: conn.reply(200, "hello"))) as at:
        at.manager.connect(f"http://127.0.0.1:{at.listen()}", client)
        at.until(lambda: told[-1:] == ["close"])
    assert told[:20] == ["hello"] * 20


def test_numeric_addresses_are_resolved_inside_connect() -> None:
    told: list[tuple[int, Any]] = []
    with loop() as at:
        port = at.listen("tcp://127.0.0.1:0")
        conn = at.manager.connect(f"tcp://127.0.0.1:{port}", asking(b"x", told))
        assert told == [(MG_EV_OPEN, None), (MG_EV_RESOLVE, None)]
        assert conn.is_client
        assert conn.remote_addr == ("127.0.0.1", port, False)
        conn.resolve(f"tcp://127.0.0.1:{port}")
        with pytest.raises(ValueError, match="URL"):
            conn.resolve("no URL at all")
        conn.resolve_cancel()
        assert not conn.is_closing, "there is nothing to call off"
        at.until(lambda: len(at.manager.connections) == 3)
        at.until(lambda: (MG_EV_CONNECT, None) in told)
        assert "client of 127.0.0.1" in repr(conn)


def test_names_are_resolved_later() -> None:
    told: list[tuple[int, Any]] = []
    with loop() as at:
        port = at.listen("tcp://127.0.0.1:0")
        at.manager.connect(f"tcp://localhost:{port}", asking(b"x", told))
        assert told == [(MG_EV_OPEN, None)]
        at.until(lambda: (MG_EV_CONNECT, None) in told)
        assert told[1] == (MG_EV_RESOLVE, None)


def test_a_resolution_can_be_called_off() -> None:
    told: list[tuple[int, Any]] = []
    with loop() as at:
        conn = at.manager.connect("tcp://name.invalid:1", asking(b"x", told))
        conn.resolve_cancel()
        assert conn.is_closing
        at.until(lambda: not at.manager.connections)
        assert told == [(MG_EV_OPEN, None), (MG_EV_CLOSE, None)]


@pytest.mark.parametrize(
    "url", ["tcp://name.invalid:1", "http://name.invalid", "udp://name.invalid:1"]
)
def test_a_bad_name_is_told_as_error_then_close(url: str) -> None:
    told: list[tuple[int, Any]] = []
    with loop() as at:
        at.manager.connect(url, asking(b"x", told))
        at.until(lambda: (MG_EV_CLOSE, None) in told)
    assert [ev for ev, _ in told] == [MG_EV_OPEN, MG_EV_ERROR, MG_EV_CLOSE]
    assert "name.invalid" in told[1][1]


def test_a_port_where_nobody_listens_is_told_as_error_then_close() -> None:
    told: list[tuple[int, Any]] = []
    with socket.socket() as bound, loop() as at:
        bound.bind(("127.0.0.1", 0))
        at.manager.connect(f"tcp://127.0.0.1:{bound.getsockname()[1]}", asking(b"x", told))
        at.until(lambda: (MG_EV_CLOSE, None) in told)
    assert [ev for ev, _ in told][-2:] == [MG_EV_ERROR, MG_EV_CLOSE]
    assert "refused" in told[-2][1].lower()


def test_what_is_sent_before_the_connection_waits_for_it() -> None:
    with loop() as at, socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(LIMIT)
        conn = at.manager.connect(f"tcp://127.0.0.1:{server.getsockname()[1]}")
        conn.send("early")
        conn.drain()
        assert conn.is_draining
        at.until(lambda: conn.id == 0 or not conn.is_writable)
        sock, _ = server.accept()
        with sock:
            assert to_the_end(sock) == b"early"
            at.turns()


def test_a_client_has_no_answers_to_give() -> None:
    with loop() as at:
        conn = at.manager.connect(f"http://127.0.0.1:{at.listen()}")
        calls: list[Callable[[], None]] = [
            lambda: conn.reply(200),
            lambda: conn.reply_json({}),
            lambda: conn.http_sse("a", "b"),
            lambda: conn.http_chunk("none was begun"),
            lambda: conn.ws_send("x"),
        ]
        for call in calls:
            with pytest.raises(RuntimeError):
                call()
        assert conn.send_len == 0


def test_a_chunked_request() -> None:
    seen: list[object] = []

    def client(conn: Connection, ev: int, data: Any) -> None:
        if ev == MG_EV_CONNECT:
            conn.send("POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n")
            conn.http_chunk("one ")
            conn.http_chunk(b"two")
            conn.http_chunk("")
        elif ev == MG_EV_HTTP_MSG:
            seen.append(data.body_text)

    with loop(answering(lambda conn, data: conn.reply(200, data.body_bytes))) as at:
        at.manager.connect(f"http://127.0.0.1:{at.listen()}", client)
        at.until(lambda: seen)
    assert seen == ["one two"]


def test_a_udp_client_hears_its_answers() -> None:
    told: list[bytes] = []

    def server(conn: Connection, ev: int, data: Any) -> None:
        if ev == MG_EV_READ:
            conn.send(conn.recv_data().upper())

    def client(conn: Connection, ev: int, data: Any) -> None:
        if ev == MG_EV_READ:
            told.append(conn.recv_data())

    with loop(server) as at:
        listener = at.manager.listen("udp://127.0.0.1:0")
        conn = at.manager.connect(f"udp://127.0.0.1:{port_of(listener)}", client)
        for text, count in (("one", 1), ("two", 2)):
            conn.send(text)
            at.until(lambda count=count: len(told) == count)  # type: ignore[misc]
    assert told == [b"ONE", b"TWO"], "each datagram alone"
