"""`GracefulServer`: an asyncio server of streams that stops without losing a line (P57)."""

import asyncio
import logging
import socket
import ssl as ssl_module
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from ._current import current
from ._draining import Connection
from ._listening import Acceptor, listen

__all__ = ["GracefulServer", "StreamsReport"]

_log = logging.getLogger("exeunt")

_Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[object]]

_BACKLOG = 1024


@dataclass(frozen=True)
class StreamsReport:
    """What became of a server's connections when it stopped."""

    open_at_stop: int
    """Connections that were open when the stop began."""
    finished: int
    """Those whose handlers ended by themselves after that."""
    cut: tuple[str, ...] = field(default=())
    """The peers of those that had to be cut."""
    duration: float = 0.0
    """Seconds that the stop took."""

    @property
    def is_clean(self) -> bool:
        """Whether nothing was cut."""
        return not self.cut


class GracefulServer:
    """Serves streams, as `asyncio.start_server` does, and stops without losing what has arrived.

    `handler(reader, writer)` is called for each connection, and may end when it likes; the writer
    is closed behind it. To stop, the server

    - accepts what is in its queue, and closes the listener (D3);
    - reads on from each connection until that has been silent for 250 ms, for 1 s at most; then its
      reader is at its end, as if the client had closed. A handler that reads to the end has got
      every line, and answers it;
    - when the handler has returned, sends `goodbye`, and closes: what is written arrives, also
      where the client sends on meanwhile (D7);
    - `timeout` seconds after the stop began, or at the program's drain deadline, cancels the
      handlers that are left, and aborts their connections. A client that does not read is one of
      these, and holds up nobody else.

    `async with server:` serves until the end of the block; `await server.run()` until the stop of
    the program (`exeunt.run`), whose work the connections are. Further arguments (`ssl`, `limit`,
    `backlog`, `reuse_port`) are those of `asyncio.start_server`.
    """

    def __init__(
        self,
        handler: _Handler,
        host: str | Iterable[str] | None = None,
        port: int = 0,
        *,
        goodbye: bytes = b"",
        timeout: float = 30.0,
        limit: int = 2**16,
        ssl: ssl_module.SSLContext | None = None,
        backlog: int = _BACKLOG,
        reuse_port: bool = False,
    ) -> None:
        self.goodbye = goodbye
        self.timeout = timeout
        self.report: StreamsReport | None = None
        """What became of the connections; None before the stop is over."""
        self._handler = handler
        self._host, self._port = host, port
        self._limit, self._ssl, self._backlog = limit, ssl, backlog
        self._reuse_port = reuse_port
        self._acceptor: Acceptor | None = None
        self._connections: dict[asyncio.Task[None], Connection] = {}
        self._stopping: asyncio.Task[StreamsReport] | None = None
        self._at_stop: set[asyncio.Task[None]] | None = None

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """The listening sockets."""
        return tuple(self._acceptor.listeners) if self._acceptor is not None else ()

    @property
    def port(self) -> int:
        """The port that it listens on; the one that the kernel has chosen, for port 0."""
        port: int = self.sockets[0].getsockname()[1] if self.sockets else self._port
        return port

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    async def start(self) -> None:
        """Binds and begins to serve. Raises `OSError` if an address cannot be had."""
        if self._acceptor is not None or self._stopping is not None:
            raise RuntimeError("the server has been started before; make another")
        listeners = await listen(self._host, self._port, self._backlog, self._reuse_port)
        self._acceptor = Acceptor(listeners, self._serve)

    async def stop(self) -> StreamsReport:
        """Stops, and says what became of the connections. May be called again, and cancelled:
        the stop goes on.
        """
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop(), name="stop of the server")
            if (app := current()) is not None:
                app._ours.add(self._stopping)
        return await asyncio.shield(self._stopping)

    async def run(self) -> StreamsReport:
        """Serves until the stop of the program that `exeunt.run` runs."""
        app = current()
        if app is None:
            raise RuntimeError("nobody says when to stop: exeunt.run does, or use `async with`")
        async with self:
            await app.stop.wait()
        assert self.report is not None
        return self.report

    async def __aenter__(self) -> "GracefulServer":
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    def _serve(self, accepted: socket.socket) -> None:
        accepted.setblocking(False)
        connection = Connection(self._handler, self._limit)
        task = asyncio.get_running_loop().create_task(
            connection.serve(accepted, self._ssl, self.goodbye), name=_peer(accepted)
        )
        self._connections[task] = connection
        if self._at_stop is not None:
            self._at_stop.add(task)
            connection.drain()
        task.add_done_callback(self._over)
        if (app := current()) is not None:
            app._tasks.count(task, "connection")

    def _over(self, task: "asyncio.Task[None]") -> None:
        self._connections.pop(task)
        if not task.cancelled() and (error := task.exception()) is not None and current() is None:
            _log.error("the handler of %s failed", task.get_name(), exc_info=error)

    async def _stop(self) -> StreamsReport:
        begun = time.monotonic()
        open_at_stop = self._at_stop = set(self._connections)
        for connection in self._connections.values():
            connection.drain()
        if self._acceptor is not None:
            await self._acceptor.close()
        _log.info("the server stops: %d connections", len(open_at_stop))
        cut: tuple[str, ...] = ()
        if open_at_stop:
            time_left = max(begun + self.timeout - time.monotonic(), 0.0)
            _, left = await asyncio.wait(open_at_stop, timeout=time_left)
            cut = tuple(task.get_name() for task in left)
            for task in left:
                self._connections[task].abort()
                task.cancel()
            if left:
                await asyncio.wait(left, timeout=1.0)
        duration = time.monotonic() - begun
        self.report = StreamsReport(len(open_at_stop), len(open_at_stop) - len(cut), cut, duration)
        return self.report


def _peer(accepted: socket.socket) -> str:
    try:
        peer: Any = accepted.getpeername()
    except OSError:
        return "a client that has gone"
    return f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else str(peer) or "a local client"
