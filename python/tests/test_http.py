"""Answers to HTTP requests (P12, P13)."""

import json
import socket
from collections.abc import Callable
from typing import Any

import pytest
from wire import (
    GET,
    answering,
    asked,
    connected,
    heads,
    is_readable,
    loop,
    serving,
    split,
    to_the_end,
    told,
)

from exeunt.mongoose import MG_EV_HTTP_MSG, Connection, HttpMessage


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        ("für", "für".encode()),
        (b"a\x00b\xff", b"a\x00b\xff"),
        (bytearray(b"array"), b"array"),
        (memoryview(b"a-view-of")[2:6], b"view"),
        (memoryview(b"abcdef")[::2], b"ace"),
        ("", b""),
        (None, b""),
    ],
)
def test_reply_takes_text_and_bytes_of_any_kind(body: Any, sent: bytes) -> None:
    status, headers, got = split(told(lambda conn, _: conn.reply(200, body)))
    assert (status, got) == (200, sent)
    assert headers["content-type"] == "text/plain"
    assert headers["content-length"] == str(len(sent))


def test_nul_bytes_and_large_bodies_arrive_whole() -> None:
    body = bytes(range(256)) * 4096
    _, _, got = split(told(lambda conn, _: conn.reply(200, body)))
    assert got == body


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (99, ValueError),
        (1000, ValueError),
        (-1, OverflowError),
        (1 << 80, OverflowError),
        ("200", TypeError),
        (None, TypeError),
        (200.5, TypeError),
    ],
)
def test_a_status_has_three_digits(code: Any, error: type[Exception]) -> None:
    def answer(conn: Connection, _: HttpMessage) -> None:
        with pytest.raises(error):
            conn.reply(code)
        with pytest.raises(error):
            conn.reply_json({}, code)
        assert conn.send_len == 0
        conn.reply(200)

    assert split(told(answer))[0] == 200


@pytest.mark.parametrize("body", [5, 1.5, object(), ["x"], {}, True])
def test_a_body_is_text_or_bytes(body: Any) -> None:
    def answer(conn: Connection, _: HttpMessage) -> None:
        for call in (conn.send, conn.http_chunk, conn.ws_send, lambda body: conn.reply(200, body)):
            with pytest.raises(TypeError, match="bytes-like"):
                call(body)
        conn.reply(200)

    assert split(told(answer))[0] == 200


def test_a_lone_surrogate_is_no_text() -> None:
    def answer(conn: Connection, _: HttpMessage) -> None:
        for call in (conn.send, lambda body: conn.reply(200, body)):
            with pytest.raises(UnicodeEncodeError, match="surrogates not allowed"):
                call("\udc80")
        conn.reply(200)

    assert split(told(answer))[0] == 200


@pytest.mark.parametrize(
    "data", [{"a": [1, 2, {"b": None}], "ü": "é"}, [], "text", 1.5, None, True, {"1": 2}]
)
def test_reply_json_writes_what_json_dumps_writes(data: Any) -> None:
    status, headers, body = split(told(lambda conn, _: conn.reply_json(data, 201, {"X-One": "1"})))
    assert (status, body) == (201, json.dumps(data).encode())
    assert (headers["content-type"], headers["x-one"]) == ("application/json", "1")


def test_reply_json_refuses_what_is_no_json() -> None:
    def answer(conn: Connection, _: HttpMessage) -> None:
        with pytest.raises(TypeError, match="not JSON serializable"):
            conn.reply_json(object())
        cycle: list[Any] = []
        cycle.append(cycle)
        with pytest.raises(ValueError, match="Circular"):
            conn.reply_json(cycle)
        conn.reply_json({"ok": True}, headers={"content-type": "application/problem+json"})

    _, headers, body = split(told(answer))
    assert (headers["content-type"], body) == ("application/problem+json", b'{"ok": true}')


def test_a_second_answer_is_an_error_and_never_bytes() -> None:
    def answer(conn: Connection, data: HttpMessage) -> None:
        conn.reply(200, "first")
        before = conn.send_data()
        calls: list[Callable[[], None]] = [
            lambda: conn.reply(200, "second"),
            lambda: conn.reply(503, "second"),
            lambda: conn.reply_json("second"),
            lambda: conn.send("second"),
            lambda: conn.http_chunk("second"),
            lambda: conn.http_sse("a", "second"),
            lambda: conn.serve_file(data, "/dev/null"),
            lambda: conn.serve_dir(data, "/"),
            lambda: conn.ws_upgrade(data),
        ]
        for again in calls:
            with pytest.raises(RuntimeError, match="answered already"):
                again()
        assert conn.send_data() == before

    answer_twice = told(answer, GET + GET)
    assert answer_twice.count(b"first") == 2
    assert b"second" not in answer_twice


def test_reply_on_a_connection_that_has_asked_nothing_is_sent() -> None:
    """As a program does when it stops: who has not asked yet, or is idle, gets a 503."""
    conns: list[Connection] = []

    def handler(conn: Connection, ev: int, data: Any) -> None:
        if not conn.is_listening and conn not in conns:
            conns.append(conn)
        if ev == MG_EV_HTTP_MSG:
            conn.reply(200, "")

    with loop(handler) as at:
        port = at.listen()
        with connected(port) as fresh, connected(port) as idle:
            idle.sendall(GET)
            at.until(lambda: len(conns) == 2)
            at.until(lambda: is_readable(idle))
            assert heads(idle).startswith(b"HTTP/1.1 200")
            for conn in conns:
                conn.reply(503, "Server shutting down")
                conn.drain()
            at.until(lambda: len(at.manager.connections) == 1)
            for sock in (fresh, idle):
                answer = to_the_end(sock)
                assert answer.startswith(b"HTTP/1.1 503")
                assert answer.endswith(b"Server shutting down")
                assert b"Connection: close\r\n" in answer


def test_pipelined_requests_wait_for_the_answer_before_them() -> None:
    waiting: list[Connection] = []
    asked_for: list[str] = []

    def answer(conn: Connection, data: HttpMessage) -> None:
        asked_for.append(data.uri)
        if data.uri == "/1":
            waiting.append(conn)
        else:
            conn.reply(200, data.uri)

    with loop(answering(answer)) as at:
        port = at.listen()
        with connected(port) as sock:
            sock.sendall(GET.replace(b"/ ", b"/1 ", 1) + GET.replace(b"/ ", b"/2 ", 1))
            at.until(lambda: waiting)
            at.turns(5)
            assert asked_for == ["/1"]
            waiting[0].reply(200, "late")
            at.until(lambda: asked_for == ["/1", "/2"])
            sock.shutdown(socket.SHUT_WR)
            at.until(lambda: len(at.manager.connections) == 1)
            answers = to_the_end(sock)
    assert answers.index(b"late") < answers.index(b"/2")


def test_connection_close_of_a_request_closes_behind_the_answer() -> None:
    with (
        serving(answering(lambda conn, _: conn.reply(200, "bye"))) as port,
        connected(port) as sock,
    ):
        sock.sendall(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        assert to_the_end(sock).endswith(b"bye")


def test_chunks_make_an_answer() -> None:
    def answer(conn: Connection, _: HttpMessage) -> None:
        with pytest.raises(RuntimeError, match="no chunked answer was begun"):
            conn.http_chunk("too soon")
        conn.reply(200, "first", {"Transfer-Encoding": "chunked"})
        conn.http_chunk("für")
        conn.http_chunk(bytearray(b"\x00"))
        conn.http_chunk(b"")
        with pytest.raises(RuntimeError, match="answered already"):
            conn.http_chunk("too late")

    _, headers, body = split(told(answer))
    assert "content-length" not in headers, "no Content-Length beside Transfer-Encoding"
    assert body == b"5\r\nfirst\r\n4\r\nf\xc3\xbcr\r\n1\r\n\x00\r\n0\r\n\r\n"


def test_server_sent_events_begin_their_answer() -> None:
    def answer(conn: Connection, _: HttpMessage) -> None:
        with pytest.raises(ValueError, match="line end"):
            conn.http_sse("a\nb", "x")
        conn.http_sse("tick", "one\ntwo")
        conn.http_sse("", "three")
        conn.http_chunk("")

    _, headers, body = split(told(answer))
    assert headers["content-type"] == "text/event-stream"
    assert b"event: tick\ndata: one\ndata: two\n\n" in body
    assert b"data: three\n\n" in body
    assert body.count(b"event:") == 1


def test_an_answer_in_the_programs_own_words() -> None:
    def answer(conn: Connection, _: HttpMessage) -> None:
        conn.send("HTTP/1.1 202 Fine\r\nContent-Length: 3\r\n\r\n")
        conn.send(b"own")

    assert split(told(answer)) == (202, {"content-length": "3"}, b"own")


@pytest.mark.parametrize(
    "bad",
    [
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx",
        b"GET /a\x00b HTTP/1.1\r\nHost: a\r\n\r\n",
        b"garbage\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
    ],
)
def test_what_is_no_request_is_refused_and_the_server_goes_on(bad: bytes) -> None:
    seen: list[str] = []

    def answer(conn: Connection, data: HttpMessage) -> None:
        seen.append(data.uri)
        conn.reply(200)

    with serving(answering(answer)) as port:
        refused = asked(port, bad + GET)
        assert not refused.startswith(b"HTTP/1.1 2")
        assert refused.count(b"HTTP/1.1 ") <= 1, "what comes behind it is not read"
        assert seen == []
        assert split(asked(port, GET))[0] == 200
