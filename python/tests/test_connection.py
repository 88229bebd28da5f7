"""What a connection is, whatever it speaks: its life, its addresses, its buffers (P10)."""

import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
from wire import GET, LIMIT, connected, heads, is_readable, loop, port_of, to_the_end

from exeunt.mongoose import (
    MG_EV_ACCEPT,
    MG_EV_CLOSE,
    MG_EV_ERROR,
    MG_EV_HTTP_MSG,
    MG_EV_OPEN,
    MG_EV_POLL,
    MG_EV_READ,
    Connection,
    HttpMessage,
    TlsOpts,
)

FLAGS = (
    "is_listening",
    "is_client",
    "is_tls",
    "is_udp",
    "is_websocket",
    "is_readable",
    "is_writable",
    "is_full",
    "is_draining",
    "is_closing",
)


def flags(conn: Connection) -> set[str]:
    """Those that are true; all of them are real bools."""
    values = {name: getattr(conn, name) for name in FLAGS}
    assert all(type(value) is bool for value in values.values()), values
    return {name for name, value in values.items() if value}


def test_a_connection_is_one_object_for_its_whole_life() -> None:
    seen: dict[int, list[Connection]] = {}

    def handler(conn: Connection, ev: int, data: Any) -> None:
        if conn.is_listening:
            return
        seen.setdefault(conn.id, []).append(conn)
        if ev == MG_EV_OPEN:
            conn.userdata = {"since": "open"}
        elif ev == MG_EV_CLOSE:
            assert conn.id > 0, "the id is valid inside the CLOSE handler"
            assert conn.local_addr is not None
            assert conn.remote_addr is not None
        if ev == MG_EV_HTTP_MSG:
            assert conn in at.manager.connections
            conn.reply(200)

    with loop(handler) as at:
        port = at.listen()
        with connected(port) as sock:
            sock.sendall(GET)
            at.until(lambda: is_readable(sock))
        at.until(lambda: len(at.manager.connections) == 1)
    (told,) = seen.values()
    conn = told[0]
    assert all(other is conn for other in told)
    assert {conn: 1}[conn] == 1
    assert conn.userdata == {"since": "open"}, "userdata stays"
    assert conn.id == 0


def test_userdata_is_anything() -> None:
    with loop() as at:
        listener = at.manager.listen("tcp://127.0.0.1:0")
        assert listener.userdata is None
        values: list[Any] = [1, "text", [], listener, None]
        for value in values:
            listener.userdata = value
            assert listener.userdata is value


def test_flags_are_real_bools() -> None:
    with loop() as at:
        listener = at.manager.listen("http://127.0.0.1:0")
        udp = at.manager.listen("udp://127.0.0.1:0")
        client = at.manager.connect(f"tcp://127.0.0.1:{port_of(listener)}")
        talk = at.manager.connect(f"udp://127.0.0.1:{port_of(udp)}")
        assert flags(listener) == {"is_listening"}
        assert flags(udp) == {"is_listening", "is_udp"}
        assert flags(client) == {"is_client"}
        assert flags(talk) == {"is_client", "is_udp"}
        at.until(lambda: len(at.manager.connections) == 5)
        accepted = at.manager.connections[-1]
        assert flags(accepted) == set()
        client.send("GET / HTTP/1.1\r\n")
        assert flags(client) == {"is_client", "is_writable"}
        at.until(lambda: accepted.is_readable)
        assert flags(accepted) == {"is_readable"}
        accepted.drain()
        assert "is_draining" in flags(accepted), "is_draining at once"
        client.close()
        assert "is_closing" in flags(client)


def test_addresses_are_text_port_and_whether_that_is_ipv6() -> None:
    with loop() as at:
        listener = at.manager.listen("tcp://127.0.0.1:0")
        port = port_of(listener)
        assert listener.local_addr == ("127.0.0.1", port, False)
        assert listener.remote_addr == ("0.0.0.0", 0, False)
        with connected(port) as sock:
            at.until(lambda: len(at.manager.connections) == 2)
            accepted = at.manager.connections[1]
            assert accepted.local_addr == ("127.0.0.1", port, False)
            peer = accepted.remote_addr
            assert peer is not None
            assert peer == ("127.0.0.1", sock.getsockname()[1], False)
            assert type(peer[2]) is bool


def test_addresses_of_ipv6() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError as error:
            pytest.skip(f"there is no IPv6 here: {error}")
    with loop() as at:
        listener = at.manager.listen("tcp://[::1]:0")
        assert listener.local_addr == ("::1", port_of(listener), True)
        with socket.create_connection(("::1", port_of(listener)), timeout=LIMIT) as sock:
            at.until(lambda: len(at.manager.connections) == 2)
            peer = at.manager.connections[1].remote_addr
            assert peer == ("::1", sock.getsockname()[1], True)


CALLS: dict[str, Callable[[Connection], object]] = {
    "send": lambda conn: conn.send("x"),
    "reply": lambda conn: conn.reply(200),
    "reply_json": lambda conn: conn.reply_json({}),
    "http_chunk": lambda conn: conn.http_chunk("x"),
    "http_sse": lambda conn: conn.http_sse("a", "b"),
    "http_basic_auth": lambda conn: conn.http_basic_auth("a", "b"),
    "ws_send": lambda conn: conn.ws_send("x"),
    "tls_init": lambda conn: conn.tls_init(TlsOpts()),
    "tls_free": lambda conn: conn.tls_free(),
    "resolve": lambda conn: conn.resolve("tcp://127.0.0.1:1"),
    "resolve_cancel": lambda conn: conn.resolve_cancel(),
    "error": lambda conn: conn.error("x"),
}


def test_a_closed_connection_says_so() -> None:
    conns: list[Connection] = []

    def handler(conn: Connection, ev: int, data: Any) -> None:
        if ev == MG_EV_OPEN:
            conns.append(conn)
            conn.userdata = len(conns)

    with loop(handler) as at:
        at.manager.listen("udp://127.0.0.1:0")
        with connected(at.listen()) as sock:
            sock.sendall(b"GET")
            at.until(lambda: len(conns) == 3 and conns[2].recv_len)
            at.manager.connect(f"tcp://127.0.0.1:{port_of(conns[1])}")
            at.turns()
    assert len(conns) >= 4
    for number, conn in enumerate(conns, 1):
        assert flags(conn) == {"is_closing"}
        assert (conn.id, conn.local_addr, conn.remote_addr) == (0, None, None)
        assert (conn.recv_len, conn.recv_data(), conn.recv_data(5)) == (0, b"", b"")
        assert (conn.send_len, conn.send_data(), conn.send_data(5)) == (0, b"", b"")
        assert (conn.recv_size, conn.send_size, conn.consume()) == (0, 0, 0)
        assert conn.userdata == number, "userdata is kept"
        for call in CALLS.values():
            with pytest.raises(RuntimeError, match="closed"):
                call(conn)
        view = HttpMessage.__new__(HttpMessage)
        with pytest.raises(ValueError, match="not valid"):
            conn.ws_upgrade(view)
        with pytest.raises(ValueError, match="not valid"):
            conn.serve_dir(view, "/")
        conn.close()
        conn.drain()
        conn.set_handler(print)
        assert conn.handler is None
        assert repr(conn) == "<Connection closed>"


def test_every_call_on_a_listener_is_an_error_or_nothing() -> None:
    with loop() as at:
        for url in ("http://127.0.0.1:0", "tcp://127.0.0.1:0"):
            listener = at.manager.listen(url)
            for name in ("send", "reply", "reply_json", "http_chunk", "http_sse", "ws_send"):
                with pytest.raises(RuntimeError):
                    CALLS[name](listener)
            with pytest.raises(RuntimeError):
                listener.http_basic_auth("a", "b")
            with pytest.raises(RuntimeError, match="not on its way"):
                listener.resolve("tcp://127.0.0.1:1")
            listener.resolve_cancel()
            assert (listener.recv_len, listener.recv_data()) == (0, b"")
            assert (listener.send_len, listener.send_data(), listener.consume()) == (0, b"", 0)
            assert listener.is_listening, "none of them has closed it"
            assert f"port {port_of(listener)}" in repr(listener)


def test_error_delivers_its_text_on_a_listener_too() -> None:
    told: list[tuple[bool, int, Any]] = []

    def handler(conn: Connection, ev: int, data: Any) -> None:
        if ev not in (MG_EV_POLL, MG_EV_OPEN):
            told.append((conn.is_listening, ev, data))
        if ev == MG_EV_READ:
            conn.error("für " + conn.recv_data().decode())

    with loop(handler) as at:
        port = at.listen("tcp://127.0.0.1:0")
        with connected(port) as sock:
            sock.sendall(b"nothing")
            at.until(lambda: (False, MG_EV_CLOSE, None) in told)
            assert to_the_end(sock) == b""
        (listener,) = at.manager.connections
        listener.error("of a listener")
        assert told[-1] == (True, MG_EV_ERROR, "of a listener"), "before error returns"
        assert listener.is_closing
        at.until(lambda: not at.manager.connections)
    assert told == [
        (False, MG_EV_ACCEPT, None),
        (False, MG_EV_READ, None),
        (False, MG_EV_ERROR, "für nothing"),
        (False, MG_EV_CLOSE, None),
        (True, MG_EV_ERROR, "of a listener"),
        (True, MG_EV_CLOSE, None),
    ]


def test_close_inside_any_handler_is_safe() -> None:
    for closes_at in (MG_EV_OPEN, MG_EV_ACCEPT, MG_EV_READ, MG_EV_HTTP_MSG, MG_EV_CLOSE):
        told: list[int] = []

        def handler(
            conn: Connection, ev: int, data: Any, at: int = closes_at, told: list[int] = told
        ) -> None:
            if conn.is_listening:
                return
            told.append(ev)
            if ev == at:
                conn.close()
                conn.close()
                conn.drain()
            if ev == MG_EV_HTTP_MSG and not conn.is_closing:
                conn.reply(200)

        with loop(handler) as turned:
            port = turned.listen()
            with connected(port) as sock:
                sock.sendall(GET)
                if closes_at == MG_EV_CLOSE:
                    turned.until(lambda sock=sock: is_readable(sock))  # type: ignore[misc]
                    sock.shutdown(socket.SHUT_WR)
                turned.until(lambda told=told: told[-1:] == [MG_EV_CLOSE])  # type: ignore[misc]
            assert told.count(MG_EV_CLOSE) == 1
            with connected(port) as sock:
                turned.until(lambda: len(turned.manager.connections) >= 1)


def test_nothing_comes_after_drain() -> None:
    told: list[int] = []

    def handler(conn: Connection, ev: int, data: Any) -> None:
        if conn.is_listening:
            return
        told.append(ev)
        if ev == MG_EV_HTTP_MSG:
            conn.reply(200, "last words")
            conn.drain()

    with loop(handler) as at, connected(at.listen()) as sock:
        sock.sendall(GET + GET)
        at.until(lambda: MG_EV_CLOSE in told)
        answer = to_the_end(sock)
    assert told.count(MG_EV_HTTP_MSG) == 1
    assert answer.count(b"HTTP/1.1") == 1
    assert b"Connection: close\r\n" in answer
    assert answer.endswith(b"last words")


def test_properties_and_stale_views_are_read_from_other_threads() -> None:
    views: list[HttpMessage] = []
    over = threading.Event()
    wrong: list[BaseException] = []

    def handler(conn: Connection, ev: int, data: Any) -> None:
        if ev == MG_EV_HTTP_MSG:
            views.append(data)
            conn.reply(200)

    def read() -> None:
        try:
            while not over.is_set():
                for conn in at.manager.connections:
                    flags(conn)
                    repr(conn)
                    assert conn.local_addr is None or conn.id >= 0
                    conn.recv_data()
                for view in views[-2:]:
                    repr(view)
                    view.headers()
                    assert view.body_bytes == b""
        except BaseException as error:
            wrong.append(error)

    with loop(handler) as at:
        port = at.listen()
        threads = [threading.Thread(target=read) for _ in range(3)]
        for thread in threads:
            thread.start()
        with connected(port) as sock:
            for _ in range(50):
                sock.sendall(GET)
                at.until(lambda: is_readable(sock))
                heads(sock)
        over.set()
        for thread in threads:
            thread.join(LIMIT)
    assert wrong == []
    assert len(views) == 50
    assert not any(views)
