"""What the tests of connections share: a manager that somebody polls, and sockets to ask it."""

import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from exeunt.mongoose import MG_EV_HTTP_MSG, Connection, Manager

Handler = Callable[[Connection, int, Any], object]

LIMIT = 30.0
"""How long anything is waited for, in seconds. No test waits that long unless it fails."""

GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"


class Loop:
    """A manager with what its handlers raised."""

    def __init__(self, handler: Handler | None = None) -> None:
        self.errors: list[BaseException] = []
        self.manager = Manager(handler, error_handler=self.errors.append)

    def listen(self, url: str = "http://127.0.0.1:0") -> int:
        """Listens there, and gives the port."""
        return port_of(self.manager.listen(url))

    def until(self, condition: Callable[[], object]) -> None:
        """Polls until that is true, and raises what a handler raised."""
        deadline = time.monotonic() + LIMIT
        while not condition():
            assert time.monotonic() < deadline, "what was waited for did not come"
            self.manager.poll(20)
            self.check()

    def turns(self, count: int = 3) -> None:
        """Polls so often, without waiting."""
        for _ in range(count):
            self.manager.poll(0)
        self.check()

    def check(self) -> None:
        if self.errors:
            raise self.errors.pop(0)


@contextmanager
def loop(handler: Handler | None = None) -> Iterator[Loop]:
    """A manager that the test polls."""
    made = Loop(handler)
    try:
        yield made
        made.check()
    finally:
        made.manager.close()


@contextmanager
def serving(handler: Handler, url: str = "http://127.0.0.1:0") -> Iterator[int]:
    """A server that a thread polls, for clients that wait; gives its port."""
    made = Loop(handler)
    port = made.listen(url)
    over = threading.Event()

    def poll() -> None:
        while not over.is_set():
            made.manager.poll(20)

    thread = threading.Thread(target=poll)
    thread.start()
    try:
        yield port
    finally:
        over.set()
        thread.join(LIMIT)
        made.manager.close()
    made.check()


def port_of(conn: Connection) -> int:
    assert conn.local_addr is not None
    return conn.local_addr[1]


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=LIMIT)


def to_the_end(sock: socket.socket) -> bytes:
    """All that comes until the peer's end."""
    got = b""
    while piece := sock.recv(65536):
        got += piece
    return got


def heads(sock: socket.socket, count: int = 1) -> bytes:
    """What comes until so many answers without a body have."""
    got = b""
    while got.count(b"\r\n\r\n") < count:
        piece = sock.recv(65536)
        assert piece, f"the peer has ended it behind {got!r}"
        got += piece
    return got


def asked(port: int, request: bytes) -> bytes:
    """Sends that, ends our side, and gives all that comes."""
    with connected(port) as sock:
        sock.sendall(request)
        sock.shutdown(socket.SHUT_WR)
        return to_the_end(sock)


def split(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    """The status, the headers (names in lower case) and the body of one answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    pairs = (line.split(": ", 1) for line in lines)
    return int(first.split(" ")[1]), {name.lower(): value for name, value in pairs}, body


def answering(answer: Callable[[Connection, Any], object]) -> Handler:
    """A handler that does that with each request."""

    def handler(conn: Connection, ev: int, data: Any) -> None:
        if ev == MG_EV_HTTP_MSG:
            answer(conn, data)

    return handler


def told(answer: Callable[[Connection, Any], object], request: bytes = GET) -> bytes:
    """What a server that answers so sends."""
    with serving(answering(answer)) as port:
        return asked(port, request)


def is_readable(sock: socket.socket) -> bool:
    """Whether something has come."""
    readable, _, _ = select.select([sock], [], [], 0)
    return bool(readable)
