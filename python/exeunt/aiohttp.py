"""aiohttp applications that stop without losing a request: `run_app` in place of aiohttp's.

This module needs aiohttp (3.9 or later); nothing else in the package does.
"""

import asyncio
import socket
import ssl as ssl_module
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any

from aiohttp import web

from ._app import App
from ._draining import HANDSHAKE
from ._listening import Acceptor, listen
from ._program import Program

__all__ = ["run_app", "serve_app"]

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_FOR_EVER = 1e6
"""Seconds for a request to finish: the drain deadline cuts what does not."""

_LOOK = 0.02
"""Seconds between two looks at the connections while they drain."""


def run_app(
    app: web.Application | Awaitable[web.Application],
    *,
    host: str | Iterable[str] | None = None,
    port: int | None = None,
    sock: socket.socket | None = None,
    ssl_context: ssl_module.SSLContext | None = None,
    grace: float = 25.0,
    lame_duck: float = 0.0,
    idle_grace: float = 0.25,
    backlog: int = 128,
    reuse_port: bool = False,
    print: Callable[..., None] | None = print,  # noqa: A002 - aiohttp's own name
    handler: dict[str, Any] | None = None,
    **options: Any,
) -> None:
    """Runs an application until a stop signal, and stops it by the drain rules (P58).

    In the stop the listener closes once its queue is empty (D3); every response from then on says
    `Connection: close` (D2); `on_shutdown` is called, to tell what lasts long; a connection is
    closed once it has been silent for `idle_grace` seconds (D5), and not in the middle of a
    request; requests in flight finish, until the drain deadline, and are cut and named then (D8).
    `on_cleanup` comes last, when no request runs, `on_startup` first; a stop that comes meanwhile
    lets it finish.

    `port` is 8080 unless told otherwise (8443 with `ssl_context`), 0 for one that the kernel
    chooses; `handler` has arguments for `aiohttp.web.AppRunner` (`access_log`, `keepalive_timeout`,
    ...). Times are in seconds. The other arguments, and what is raised at the end, are those of
    `exeunt.run`.
    """

    async def main(program: App) -> None:
        await serve_app(
            program,
            app,
            host=host,
            port=port,
            sock=sock,
            ssl_context=ssl_context,
            idle_grace=idle_grace,
            backlog=backlog,
            reuse_port=reuse_port,
            print=print,
            handler=handler,
        )

    loop_factory = options.pop("loop_factory", None)
    Program({"grace": grace, "lame_duck": lame_duck, **options}, loop_factory).run(main)


async def serve_app(
    program: App,
    app: web.Application | Awaitable[web.Application],
    *,
    host: str | Iterable[str] | None = None,
    port: int | None = None,
    sock: socket.socket | None = None,
    ssl_context: ssl_module.SSLContext | None = None,
    idle_grace: float = 0.25,
    backlog: int = 128,
    reuse_port: bool = False,
    print: Callable[..., None] | None = None,  # noqa: A002
    handler: dict[str, Any] | None = None,
) -> None:
    """The same in a program that `exeunt.run` runs: serves until its stop, and drains."""
    application = app if isinstance(app, web.Application) else await app
    application.middlewares.insert(0, _counted(program))
    application.on_response_prepare.append(_say_close(program))
    runner = web.AppRunner(application, handle_signals=False, **(handler or {}))
    await program.component("application", runner.setup, application.cleanup)
    server = runner.server
    assert server is not None
    port = port if port is not None else (8443 if ssl_context else 8080)
    listeners = [sock] if sock is not None else await listen(host, port, backlog, reuse_port)
    draining = _Draining(server, ssl_context)
    acceptor = Acceptor(listeners, draining.connect, ours=sock is None)
    if print is not None:
        for listener in listeners:
            name = listener.getsockname()
            print(f"======== Running on {name[0]}:{name[1]} ========", flush=True)
    try:
        await program.stop.wait()
    finally:
        await acceptor.close()
    await draining.connected()
    await application.shutdown()
    await draining.drain(idle_grace, program._ours)
    await server.shutdown(0)


def _counted(program: App) -> Any:
    @web.middleware
    async def counted(request: web.Request, handler: _Handler) -> web.StreamResponse:
        with program.lifecycle.work(f"{request.method} {request.path}", "request", scope="http"):
            return await handler(request)

    return counted


def _say_close(program: App) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    async def say_close(_: web.Request, response: web.StreamResponse) -> None:
        if program.lifecycle.is_stopping and response.status != 101:
            response.force_close()
            # The headers are made already.
            response.headers["Connection"] = "close"

    return say_close


class _Heard(asyncio.Protocol):
    """In front of aiohttp's protocol: knows when it has heard something last."""

    def __init__(self, protocol: Any, open_: "set[_Heard]") -> None:
        self.protocol = protocol
        self.heard = time.monotonic()
        self._open = open_

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._open.add(self)
        self.protocol.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self.heard = time.monotonic()
        self.protocol.data_received(data)

    def eof_received(self) -> bool | None:
        answer: bool | None = self.protocol.eof_received()
        return answer

    def connection_lost(self, exc: Exception | None) -> None:
        self._open.discard(self)
        self.protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        self.protocol.pause_writing()

    def resume_writing(self) -> None:
        self.protocol.resume_writing()


class _Draining:
    """The connections of a server, and how they end."""

    def __init__(self, server: web.Server, ssl: ssl_module.SSLContext | None) -> None:
        self._server = server
        self._ssl = ssl
        self._open: set[_Heard] = set()
        self._connecting: dict[asyncio.Task[None], socket.socket] = {}

    async def connected(self) -> None:
        """Those that were accepted have their protocols, or have taken too long with TLS."""
        if not self._connecting:
            return
        _, left = await asyncio.wait(self._connecting, timeout=HANDSHAKE)
        for task in left:
            with suppress(OSError):
                self._connecting[task].shutdown(socket.SHUT_RDWR)
        if left:
            await asyncio.wait(left)

    async def drain(self, idle_grace: float, ours: set[asyncio.Task[Any]]) -> None:
        """Until no connection is open: each is told to close once it is silent."""
        begun = time.monotonic()
        leaving: dict[_Heard, asyncio.Task[None]] = {}
        while self._open:
            now = time.monotonic()
            for connection in self._open - set(leaving):
                if now - max(begun, connection.heard) >= idle_grace:
                    # An idle connection ends its wait for a request; a busy one finishes it.
                    connection.protocol.close()
                    shutdown = connection.protocol.shutdown(_FOR_EVER)
                    leaving[connection] = asyncio.ensure_future(shutdown)
                    # At the drain deadline requests are cancelled, and not who awaits them.
                    ours.add(leaving[connection])
            await asyncio.sleep(_LOOK)
        if leaving:
            await asyncio.wait(leaving.values())

    def connect(self, accepted: socket.socket) -> None:
        accepted.setblocking(False)
        with suppress(OSError):
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = asyncio.ensure_future(self._connected(accepted))
        self._connecting[task] = accepted
        task.add_done_callback(self._connecting.pop)

    async def _connected(self, accepted: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(
                lambda: _Heard(self._server(), self._open), accepted, ssl=self._ssl
            )
        except OSError:
            # A client that is gone, or speaks no TLS.
            accepted.close()
