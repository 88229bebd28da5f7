"""Clients of a program that is stopped: they are answered each time, until they are refused."""

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager

from pool_programs import Program
from pools import LONG

_PAUSE = 0.005
"""Seconds between two requests of a client."""

_LINES = 20


def asking(
    pattern: str, ask: Callable[[int], None], number: int = 2
) -> Callable[[Program], AbstractContextManager[None]]:
    """So many clients ask on the port that the program says, each until it is refused."""

    @contextmanager
    def clients(program: Program) -> Iterator[None]:
        lost: list[str] = []
        over = threading.Event()

        def keep_asking() -> None:
            port = program.await_match(pattern)
            try:
                while port and not over.is_set():
                    ask(int(port))
                    time.sleep(_PAUSE)
            except ConnectionRefusedError:
                return
            except (OSError, http.client.HTTPException, AssertionError) as error:
                lost.append(repr(error))

        threads = [threading.Thread(target=keep_asking) for _ in range(number)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join(LONG)
        assert lost == [], lost

    return clients


def lines(answer: bytes, goodbye: bytes) -> Callable[[int], None]:
    """Sends some lines, and reads all the answers."""

    def ask(port: int) -> None:
        with socket.create_connection(("127.0.0.1", port), LONG) as client:
            client.sendall(b"line\n" * _LINES)
            client.shutdown(socket.SHUT_WR)
            with client.makefile("rb") as stream:
                said = stream.read()
        assert said in (answer * _LINES, answer * _LINES + goodbye), said

    return ask


def pages(port: int) -> None:
    """Asks on one connection until it is told that this will be closed."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=LONG)) as client:
        for _ in range(_LINES):
            client.request("GET", "/")
            answer = client.getresponse()
            assert (answer.status, answer.read()) == (200, b"Hello, World!")
            if answer.headers["Connection"] == "close":
                break
            time.sleep(_PAUSE)
