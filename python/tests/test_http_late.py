"""Answers that come later, from elsewhere, or in pieces (P13)."""

import socket
import threading
from typing import Any

import pytest
from wire import GET, LIMIT, Loop, answering, asked, connected, loop, serving, split, to_the_end

from exeunt.mongoose import (
    MG_EV_CLOSE,
    MG_EV_HTTP_HDRS,
    MG_EV_HTTP_MSG,
    MG_EV_WAKEUP,
    MG_EV_WRITE,
    Connection,
    Manager,
)


def test_answering_later_from_a_wakeup_event_works() -> None:
    def handler(conn: Connection, ev: int, data: Any) -> None:
        if ev == MG_EV_HTTP_MSG:
            name = data.uri.encode()
            thread = threading.Thread(target=manager.wakeup, args=(conn.id, b"for " + name))
            thread.start()
            threads.append(thread)
        elif ev == MG_EV_WAKEUP:
            conn.reply(200, data)

    threads: list[threading.Thread] = []
    at = Loop()
    at.manager.close()
    at.manager = manager = Manager(handler, enable_wakeup=True, error_handler=at.errors.append)
    with manager, connected(at.listen()) as sock:
        sock.sendall(GET.replace(b"/ ", b"/1 ", 1) + GET.replace(b"/ ", b"/2 ", 1))
        sock.shutdown(socket.SHUT_WR)
        at.until(lambda: len(threads) == 2 and len(manager.connections) == 1)
        answers = to_the_end(sock)
        for thread in threads:
            thread.join(LIMIT)
    assert answers.index(b"for /1") < answers.index(b"for /2")


def test_answering_later_from_a_timer_and_from_a_thread() -> None:
    conns: list[Connection] = []

    def late() -> None:
        conns.pop().reply(200, "late")

    with loop(answering(lambda conn, _: conns.append(conn))) as at, connected(at.listen()) as sock:
        for way in ("timer", "thread"):
            sock.sendall(GET)
            at.until(lambda: conns)
            if way == "timer":
                at.manager.timer_add(0, late)
                at.manager.poll(-1)
            else:
                thread = threading.Thread(target=late)
                thread.start()
                at.manager.poll(-1)
                thread.join(LIMIT)
            at.until(lambda: not conns)
            at.turns()
            assert sock.recv(65536).endswith(b"late")


def test_an_answer_in_http_hdrs_is_the_answer() -> None:
    told: list[int] = []

    def handler(conn: Connection, ev: int, data: Any) -> None:
        told.append(ev)
        if ev == MG_EV_HTTP_HDRS:
            conn.reply(403, "no")

    with serving(handler) as port:
        request = b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nbody"
        assert split(asked(port, request))[0] == 403
    assert MG_EV_HTTP_MSG not in told


def test_a_stream_goes_on_at_each_write() -> None:
    left = list(range(20))

    def handler(conn: Connection, ev: int, data: Any) -> None:
        if ev == MG_EV_HTTP_MSG:
            conn.reply(200, "", {"Transfer-Encoding": "chunked"})
        elif ev == MG_EV_WRITE and left:
            conn.http_chunk(f"{left.pop(0)};")
            if not left:
                conn.http_chunk("")

    with serving(handler) as port:
        _, _, body = split(asked(port, GET))
    assert body.replace(b"\r\n2\r\n", b"").count(b";") == 20
    assert body.endswith(b"0\r\n\r\n")


def test_drain_delivers_all_that_is_pending() -> None:
    body = bytes(range(256)) * 40_000

    def answer(conn: Connection, _: Any) -> None:
        conn.reply(200, body)
        conn.drain()
        assert conn.is_draining

    with serving(answering(answer)) as port, connected(port) as sock:
        sock.sendall(GET)
        assert split(to_the_end(sock))[2] == body


def test_drain_before_the_answer_answers_503() -> None:
    with serving(answering(lambda conn, _: conn.drain())) as port, connected(port) as sock:
        sock.sendall(GET)
        assert split(to_the_end(sock))[0] == 503


def test_head_has_no_body() -> None:
    with serving(answering(lambda conn, _: conn.reply(200, "body"))) as port:
        status, headers, body = split(asked(port, GET.replace(b"GET", b"HEAD")))
    assert (status, headers["content-length"], body) == (200, "4", b"")


@pytest.mark.parametrize("code", [204, 304])
def test_what_has_no_body_has_no_content_type(code: int) -> None:
    with serving(answering(lambda conn, _: conn.reply(code, "ignored"))) as port:
        status, headers, body = split(asked(port, GET))
    assert (status, body) == (code, b"")
    assert "content-type" not in headers


def test_events_in_the_programs_own_words() -> None:
    def answer(conn: Connection, _: Any) -> None:
        conn.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        conn.http_sse("a", "one")
        conn.http_sse("", "two")
        conn.drain()

    with serving(answering(answer)) as port:
        assert split(asked(port, GET))[2] == b"event: a\ndata: one\n\ndata: two\n\n"


def test_buffers_of_an_idle_connection_stay_under_1_mib() -> None:
    seen: list[Connection] = []

    def handler(conn: Connection, ev: int, data: Any) -> None:
        if ev == MG_EV_HTTP_MSG:
            seen.append(conn)
            conn.reply(200, data.body_bytes)

    body = bytes(5_000_000)
    with loop(handler) as at, connected(at.listen()) as sock:
        head = f"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        sender = threading.Thread(target=sock.sendall, args=(head + body,))
        sender.start()
        at.until(lambda: seen)
        sender.join(LIMIT)
        (conn,) = seen
        got: list[bytes] = []
        reader = threading.Thread(target=lambda: got.append(to_the_end(sock)))
        reader.start()
        at.until(lambda: conn.send_len == 0)
        assert (conn.recv_len, conn.recv_size < 1 << 20, conn.send_size < 1 << 20) == (
            0,
            True,
            True,
        )
        conn.drain()
        at.until(lambda: len(at.manager.connections) == 1)
        reader.join(LIMIT)
    assert got[0].endswith(body)


def test_a_client_that_leaves_is_told_once_and_its_answer_is_refused() -> None:
    conns: list[Connection] = []
    closed: list[Connection] = []

    def handler(conn: Connection, ev: int, data: Any) -> None:
        if ev == MG_EV_HTTP_MSG:
            conns.append(conn)
        elif ev == MG_EV_CLOSE and not conn.is_listening:
            closed.append(conn)

    with loop(handler) as at:
        with connected(at.listen()) as sock:
            sock.sendall(GET)
            at.until(lambda: conns)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        at.until(lambda: closed)
        with pytest.raises(RuntimeError, match="closed"):
            conns[0].reply(200, "too late")
    assert closed == conns
