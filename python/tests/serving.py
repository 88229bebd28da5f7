"""Clients of servers on an event loop, and what such a test begins and ends with."""

import asyncio
import gc
import os
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import exeunt
from exeunt.mongoose import Manager

T = TypeVar("T")

PATIENCE = 30.0
"""How long a condition may take, in seconds: far more than it ever does."""
URL = "http://127.0.0.1:0"


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Runs a test on a loop of its own, and sees to it that neither a task nor a descriptor is
    left."""
    # The first one opens what the process keeps.
    Manager().close(0)
    gc.collect()
    before = descriptors()

    async def whole() -> T:
        result = await asyncio.wait_for(main(), PATIENCE)
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert not left, left
        return result

    result = asyncio.run(whole())
    gc.collect()
    assert descriptors() == before
    return result


def descriptors() -> list[str]:
    """The open descriptors of this process, but for the one that looks."""
    listed = os.listdir("/proc/self/fd")
    return sorted(f"{number} {_name(number)}" for number in listed if _name(number))


def _name(number: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{number}")
    except OSError:
        return ""


async def until(is_so: Callable[[], object]) -> None:
    """Waits until that is so."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while not is_so():
        assert asyncio.get_running_loop().time() < deadline, "it does not come about"
        await asyncio.sleep(0.002)


@dataclass
class Reply:
    """An answer."""

    status: int
    fields: dict[str, str]
    body: bytes


class Client:
    """One connection, as bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, text: str | bytes) -> None:
        self.writer.write(text.encode() if isinstance(text, str) else text)

    def ask(self, path: str, method: str = "GET", body: bytes = b"", *fields: str) -> None:
        """Sends a request, and does not wait for its answer."""
        lines = [f"{method} {path} HTTP/1.1", "Host: a", *fields]
        lines += [f"Content-Length: {len(body)}"] if body else []
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    async def fetch(self, path: str, method: str = "GET", body: bytes = b"", *fields: str) -> Reply:
        self.ask(path, method, body, *fields)
        return await self.reply(method)

    async def head(self) -> Reply:
        """An answer whose body is not read."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status, *lines = head.rstrip().split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines)
        return Reply(int(status.split()[1]), {name.lower(): fields[name] for name in fields}, b"")

    async def reply(self, method: str = "GET") -> Reply:
        """An answer."""
        reply = await self.head()
        if method == "HEAD" or reply.status in (101, 204, 304):
            return reply
        if reply.fields.get("transfer-encoding") == "chunked":
            while piece := await self.chunk():
                reply.body += piece
        elif length := reply.fields.get("content-length"):
            reply.body = await self.reader.readexactly(int(length))
        else:
            reply.body = await self.reader.read()
        return reply

    async def chunk(self) -> bytes:
        """One chunk of an answer; the last is empty."""
        length = int(await self.reader.readline(), 16)
        piece = await self.reader.readexactly(length)
        assert await self.reader.readexactly(2) == b"\r\n"
        return piece

    async def end(self) -> bytes:
        """What comes up to the end."""
        return await self.reader.read()

    def reset(self) -> None:
        """Goes at once."""
        self.writer.transport.abort()


@asynccontextmanager
async def connected(port: int) -> AsyncGenerator[Client, None]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def fetch(
    port: int, path: str, method: str = "GET", body: bytes = b"", *fields: str
) -> Reply:
    """Asks on a connection of its own."""
    async with connected(port) as client:
        return await client.fetch(path, method, body, "Connection: close", *fields)


async def refused(port: int) -> None:
    """Waits until nobody listens there any more."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while asyncio.get_running_loop().time() < deadline:
        try:
            async with connected(port):
                await asyncio.sleep(0.002)
        except ConnectionError:
            return
    raise AssertionError("somebody still listens")


class Gate:
    """Handlers that wait in it, until it is opened."""

    def __init__(self) -> None:
        self.inside = 0
        self.cancelled = 0
        self._open = asyncio.Event()

    async def __call__(self, request: exeunt.Request) -> str:
        self.inside += 1
        try:
            await self._open.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return "through"

    def open(self) -> None:
        self._open.set()
