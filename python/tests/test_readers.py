"""P79: loops that cannot wait for descriptors, as that of Windows; here one that says so."""

import asyncio
import socket
import textwrap
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from programs import Program

from exeunt import GracefulServer, _readers
from exeunt._readers import add_reader, remove_reader

PATIENCE = 30.0


class Unable(asyncio.SelectorEventLoop):
    """Waits for sockets of its own, as the proactor does, and for nobody else's."""

    def add_reader(self, *_: Any) -> None:  # type: ignore[override]
        raise NotImplementedError

    def remove_reader(self, fd: Any) -> bool:
        raise NotImplementedError


UNABLE = """
import asyncio, os, sys, time, exeunt
class Unable(asyncio.SelectorEventLoop):
    def add_reader(self, *_):
        raise NotImplementedError
    remove_reader = add_reader
"""


@pytest.fixture
def pairs() -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    pairs = [socket.socketpair() for _ in range(3)]
    yield pairs
    for pair in pairs:
        for each in pair:
            each.close()


def run(main: Callable[[], Awaitable[None]]) -> None:
    loop = Unable()
    try:
        loop.run_until_complete(asyncio.wait_for(main(), PATIENCE))
    finally:
        loop.close()
    assert not _readers._waiting
    for thread in threading.enumerate():
        if thread.name == "exeunt-select":
            thread.join(PATIENCE)
            assert not thread.is_alive()


Pairs = list[tuple[socket.socket, socket.socket]]


def test_whoever_is_readable_is_called_in_the_loop_as_often_as_it_is(pairs: Pairs) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        heard: list[tuple[int, bytes, int]] = []
        enough = asyncio.Event()

        def hear(index: int) -> None:
            # One byte at a time: what is left has it called again.
            heard.append((index, pairs[index][0].recv(1), threading.get_ident()))
            if len(heard) == 6:
                enough.set()

        for index, (reader, writer) in enumerate(pairs):
            add_reader(loop, reader.fileno(), hear, index)
            writer.send(b"ab")
        await enough.wait()
        here = threading.get_ident()
        wanted = [(index, byte, here) for index in range(3) for byte in (b"a", b"b")]
        assert sorted(heard) == wanted
        for reader, _ in pairs:
            remove_reader(loop, reader.fileno())

    run(main)


def test_who_is_removed_is_not_called_and_may_be_closed_at_once(pairs: Pairs) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        heard: list[str] = []
        done = asyncio.Event()
        (first, tells_first), (second, tells_second), _ = pairs

        def hear_first() -> None:
            heard.append("first")
            first.recv(1)
            remove_reader(loop, second.fileno())
            second.close()
            loop.call_later(0.05, done.set)

        # The thread finds both readable, and the first comes first.
        tells_first.send(b"a")
        tells_second.send(b"a")
        add_reader(loop, first.fileno(), hear_first)
        add_reader(loop, second.fileno(), heard.append, "second")
        await done.wait()
        done.clear()
        tells_first.send(b"a")
        await done.wait()
        assert heard == ["first", "first"]
        remove_reader(loop, first.fileno())

    run(main)


def test_what_a_callback_raises_is_told_to_the_loop_and_harms_nobody(pairs: Pairs) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        told: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: told.append(context))
        reader, writer = pairs[0]
        done = asyncio.Event()

        def hear() -> None:
            if reader.recv(1) == b"x":
                raise ValueError("in a callback")
            done.set()

        add_reader(loop, reader.fileno(), hear)
        writer.send(b"x")
        writer.send(b"y")
        await done.wait()
        assert [str(context["exception"]) for context in told] == ["in a callback"]
        remove_reader(loop, reader.fileno())

    run(main)


def test_a_loop_that_ends_with_somebody_waiting_ends_the_thread(pairs: Pairs) -> None:
    reader, writer = pairs[0]
    loop = Unable()
    add_reader(loop, reader.fileno(), lambda: None)
    waiting = _readers._waiting[loop]
    loop.close()
    writer.send(b"a")
    (thread,) = [each for each in threading.enumerate() if each.name == "exeunt-select"]
    thread.join(PATIENCE)
    assert not thread.is_alive()
    waiting.remove(reader.fileno())
    assert not _readers._waiting


def test_more_than_select_takes_is_refused_in_words(
    pairs: Pairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_readers, "_MOST", 2)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        first, second, third = (reader.fileno() for reader, _ in pairs)
        add_reader(loop, first, lambda: None)
        add_reader(loop, second, lambda: None)
        with pytest.raises(RuntimeError, match=r"Unable cannot wait .* 2 at most"):
            add_reader(loop, third, lambda: None)
        for each in (first, second, third):
            remove_reader(loop, each)

    run(main)


def test_a_program_starts_stops_and_closes_in_such_a_loop() -> None:
    text = """
    async def main(app):
        async def close(name):
            print("closing", name)
        for name in ("first", "second"):
            await app.component(name, lambda name=name: name, close)
        print("ready")
        await app.stop.wait()
        print("told by", app.stop.cause)
    exeunt.run(main, loop_factory=Unable)
    print(exeunt.last_report().verdict)
    """
    with Program(UNABLE + textwrap.dedent(text)) as program:
        program.until("ready")
        program.send(15)
        assert program.end() == 0, program.output
    told, *rest = program.output.splitlines()[1:]
    assert told.startswith("told by SIGTERM")
    assert rest == ["closing second", "closing first", "clean"]


def test_a_server_of_such_a_loop_answers_what_has_arrived() -> None:
    async def main() -> None:
        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while line := await reader.readline():
                writer.write(b"re: " + line)
                await writer.drain()

        server = GracefulServer(handler, "127.0.0.1", goodbye=b"bye\n")
        async with server:
            clients = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(20)]
            for _, writer in clients:
                writer.write(b"hello\nworld\n")
        assert server.report is not None
        assert server.report.is_clean
        for reader, writer in clients:
            assert await reader.read() == b"re: hello\nre: world\nbye\n"
            writer.close()

    run(main)
