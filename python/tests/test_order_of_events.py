"""In which order what is told (P18): as programs for the event model expect it."""

from typing import Any

from certificates import Certificates
from wire import GET, connected, heads, is_readable, loop

from exeunt.mongoose import (
    MG_EV_ACCEPT,
    MG_EV_CLOSE,
    MG_EV_CONNECT,
    MG_EV_HTTP_MSG,
    MG_EV_OPEN,
    MG_EV_POLL,
    MG_EV_READ,
    MG_EV_TLS_HS,
    MG_EV_WRITE,
    Connection,
    HttpMessage,
    TlsOpts,
    event_name,
)


class Log:
    """What each connection is told, by the first event that says who it is."""

    def __init__(self) -> None:
        self.listener: list[str] = []
        self.server: list[str] = []
        self.client: list[str] = []
        self.types: dict[str, set[str]] = {}

    def __call__(self, conn: Connection, ev: int, data: Any) -> None:
        name = event_name(ev).removeprefix("MG_EV_")
        self.types.setdefault(name, set()).add(type(data).__name__)
        if conn.is_listening:
            self.listener.append(name)
        elif ev != MG_EV_POLL:
            (self.client if conn.is_client else self.server).append(name)


def collapsed(names: list[str]) -> list[str]:
    """Without what repeats itself: bytes may come, and go, in any number of pieces."""
    return [name for at, name in enumerate(names) if at == 0 or names[at - 1] != name]


def test_a_tcp_server() -> None:
    log = Log()

    def handler(conn: Connection, ev: int, data: Any) -> None:
        log(conn, ev, data)
        if ev == MG_EV_READ:
            conn.send(conn.recv_data())
            conn.consume()

    with loop(handler) as at:
        at.manager.listen("tcp://127.0.0.1:0")
        assert log.listener == ["OPEN"], "inside listen()"
        port = at.manager.connections[0].local_addr[1]  # type: ignore[index]
        with connected(port) as sock:
            sock.sendall(b"one")
            at.until(lambda: is_readable(sock))
            assert sock.recv(9) == b"one"
            at.until(lambda: "WRITE" in log.server)
        at.until(lambda: "CLOSE" in log.server)
    assert collapsed(log.server) == ["OPEN", "ACCEPT", "READ", "WRITE", "CLOSE"]
    assert "POLL" in log.listener
    assert collapsed(log.listener) == ["OPEN", "POLL", "CLOSE"]
    assert all(types == {"NoneType"} for types in log.types.values())


def test_a_tcp_client() -> None:
    log = Log()

    def handler(conn: Connection, ev: int, data: Any) -> None:
        log(conn, ev, data)
        if ev == MG_EV_CONNECT:
            conn.send("x")
        elif ev == MG_EV_WRITE:
            conn.drain()

    with loop(handler) as at:
        port = at.listen("tcp://127.0.0.1:0")
        at.manager.connect(f"tcp://127.0.0.1:{port}")
        assert log.client == ["OPEN", "RESOLVE"], "inside connect()"
        at.until(lambda: "CLOSE" in log.client)
    assert log.client == ["OPEN", "RESOLVE", "CONNECT", "WRITE", "CLOSE"]


def test_an_http_server_and_client() -> None:
    log = Log()

    def handler(conn: Connection, ev: int, data: Any) -> None:
        log(conn, ev, data)
        if ev == MG_EV_CONNECT:
            conn.send(GET)
        elif ev == MG_EV_HTTP_MSG and conn.is_client:
            conn.drain()
        elif ev == MG_EV_HTTP_MSG:
            conn.reply(200, "hello")

    with loop(handler) as at:
        port = at.listen()
        at.manager.connect(f"http://127.0.0.1:{port}")
        at.until(lambda: "CLOSE" in log.client and "CLOSE" in log.server)
    request = ["OPEN", "ACCEPT", "HTTP_HDRS", "HTTP_MSG", "READ", "WRITE", "CLOSE"]
    assert log.server == request
    assert log.client == ["OPEN", "RESOLVE", "CONNECT", "WRITE", "HTTP_HDRS", "HTTP_MSG", "CLOSE"]
    views = {"HTTP_HDRS", "HTTP_MSG"}
    for name, types in log.types.items():
        assert types == ({HttpMessage.__name__} if name in views else {"NoneType"}), name


def test_http_over_tls(pem: Certificates) -> None:
    log = Log()
    ours, theirs = TlsOpts(cert=pem.cert, key=pem.key), TlsOpts(ca=pem.ca)

    def handler(conn: Connection, ev: int, data: Any) -> None:
        log(conn, ev, data)
        if ev == MG_EV_ACCEPT:
            conn.tls_init(ours)
        elif ev == MG_EV_CONNECT:
            conn.tls_init(theirs)
        elif ev == MG_EV_TLS_HS and conn.is_client:
            conn.send(GET)
        elif ev == MG_EV_HTTP_MSG and conn.is_client:
            conn.drain()
        elif ev == MG_EV_HTTP_MSG:
            conn.reply(200, "hello")

    with loop(handler) as at:
        port = at.listen("https://127.0.0.1:0")
        at.manager.connect(f"https://127.0.0.1:{port}")
        at.until(lambda: "CLOSE" in log.client and "CLOSE" in log.server)
    request = ["HTTP_HDRS", "HTTP_MSG", "READ", "WRITE", "CLOSE"]
    assert log.server == ["OPEN", "ACCEPT", "TLS_HS", *request]
    answer = ["WRITE", "HTTP_HDRS", "HTTP_MSG", "CLOSE"]
    assert log.client == ["OPEN", "RESOLVE", "CONNECT", "TLS_HS", *answer]


def test_a_body_that_comes_in_pieces_is_told_once_it_is_whole() -> None:
    log = Log()

    def handler(conn: Connection, ev: int, data: Any) -> None:
        log(conn, ev, data)
        if ev == MG_EV_HTTP_MSG:
            assert data.body_bytes == b"12345678"
            conn.reply(200)

    with loop(handler) as at, connected(at.listen()) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 8\r\n\r\n1234")
        at.until(lambda: "READ" in log.server)
        assert log.server == ["OPEN", "ACCEPT", "HTTP_HDRS", "READ"]
        sock.sendall(b"5678")
        at.until(lambda: is_readable(sock))
        heads(sock)
        assert log.server[4:6] == ["HTTP_MSG", "READ"]


def test_close_is_the_last_and_comes_once() -> None:
    log: dict[int, list[int]] = {}

    def handler(conn: Connection, ev: int, data: Any) -> None:
        log.setdefault(conn.id, []).append(ev)
        if ev == MG_EV_HTTP_MSG:
            conn.reply(200)

    with loop(handler) as at:
        port = at.listen()
        for _ in range(5):
            with connected(port) as sock:
                sock.sendall(GET)
                at.until(lambda sock=sock: is_readable(sock))  # type: ignore[misc]
        at.turns()
    assert len(log) == 6
    for told in log.values():
        assert told[0] == MG_EV_OPEN
        assert told[-1] == MG_EV_CLOSE
        assert told.count(MG_EV_CLOSE) == 1
