"""One request, from its arrival to its answer, or to the end of what it has turned into."""

import asyncio
import logging
from asyncio import CancelledError, Future, Task
from collections.abc import AsyncIterable, Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

from .request import Request
from .response import Answer, Header, closing, response_of
from .websocket import UpgradeError, WebSocket

if TYPE_CHECKING:
    from .._native import Exchange
    from .server import Server

Handler: TypeAlias = Callable[[Request], Awaitable[Answer | None]]

HIGH = 256 * 1024
"""Whoever has more bytes than this unsent waits."""
LOW = 64 * 1024
"""Until there are no more than this."""

_WITHOUT_CONTENT = (204, 205, 304)
"""Such answers are whole with their head (RFC 9110 section 15)."""

_log = logging.getLogger("exeunt")


class Conversation:
    """A request that a task of its own sees to."""

    __slots__ = (
        "_begun",
        "_whole",
        "_writers",
        "exchange",
        "gone",
        "server",
        "task",
        "told_to_end",
        "websocket",
    )

    def __init__(self, server: "Server", exchange: "Exchange") -> None:
        self.server = server
        self.exchange = exchange
        self.task: Task[None] | None = None
        self.websocket: WebSocket | None = None
        self.gone = False
        """The connection is closed."""
        self.told_to_end = False
        """The server has cancelled the task, since the client is gone, or the time is up."""
        self._begun = False
        self._whole = False
        self._writers: list[Future[None]] = []

    @property
    def name(self) -> str:
        """For logs and reports."""
        peer = self.exchange.peer_name
        return f"{self.exchange.method} {self.exchange.path}" + (f" for {peer}" if peer else "")

    async def run(self, handler: Handler) -> None:
        """The task."""
        if self.exchange.method == "CONNECT":
            # Behind a 2xx it would be a tunnel (RFC 9110 section 9.3.6), which nobody serves here.
            self._give_up(501, 1011)
            return
        try:
            answer = await handler(Request(self))
            if self.websocket is not None:
                self.websocket.say_close(1000)
            elif not self._whole:
                await self._respond(answer)
        except CancelledError:
            if self.told_to_end or _is_asked_to_end():
                self._give_up(503, 1001)
                raise
            _log.error("the handler of %s awaited something that was cancelled", self.name)
            self._give_up(500, 1011)
        except Exception as error:
            self._failed(error)
        except BaseException:
            self._give_up(500, 1011)
            raise

    def end(self) -> None:
        """Cancels the task."""
        self.told_to_end = True
        if self.task is not None:
            self.task.cancel()

    def upgrade(self, fields: list[Header]) -> WebSocket:
        """Makes a WebSocket of it."""
        if self._begun:
            raise RuntimeError("this request has its answer already: it cannot become a WebSocket")
        if self.server.draining:
            # The engine says the same, once it knows of the drain.
            self.exchange.reply(503, [], b"")
            self._begun = self._whole = True
            raise UpgradeError(
                "the server drains, and no WebSocket begins: it was answered with 503"
            )
        try:
            self.exchange.upgrade(fields)
        except RuntimeError as error:
            self._begun = self._whole = True
            raise UpgradeError(str(error)) from None
        self._begun = True
        # Its messages are told in a later turn of the loop.
        self.websocket = WebSocket(self)
        return self.websocket

    async def sent(self, unsent: int) -> None:
        """Waits, if that many unsent bytes are too many. Raises `ConnectionError` if the client
        goes meanwhile."""
        if unsent <= HIGH or self.exchange.is_below(LOW):
            return
        if self.gone:
            raise ConnectionResetError("the client is gone")
        writer = self.server.future()
        self._writers.append(writer)
        try:
            await writer
        finally:
            if writer in self._writers:
                self._writers.remove(writer)

    def writable(self) -> None:
        """The client has taken most of what was sent."""
        writers, self._writers = self._writers, []
        for writer in writers:
            if not writer.done():
                writer.set_result(None)

    def left(self) -> None:
        """The connection is gone."""
        self.gone = True
        writers, self._writers = self._writers, []
        for writer in writers:
            if not writer.done():
                writer.set_exception(ConnectionResetError("the client is gone"))
                # It may be that nobody waits any more.
                writer.exception()
        if self.websocket is not None:
            self.websocket.left()
        else:
            self.end()

    async def _respond(self, answer: object) -> None:
        response = response_of(answer)
        if not 200 <= response.status <= 999:
            raise ValueError(f"a response's status is {response.status}: give one of 200 to 999")
        fields = response.fields()
        content = response.content()
        if content is None:
            assert isinstance(response.body, AsyncIterable)
            await self._stream(response.status, fields, response.body)
            return
        self.exchange.reply(response.status, fields, content)
        self._begun = self._whole = True

    async def _stream(
        self, status: int, fields: list[Header], pieces: AsyncIterable[bytes | str]
    ) -> None:
        self.exchange.begin(status, fields)
        self._begun = True
        empty = status in _WITHOUT_CONTENT
        if empty or self.exchange.method == "HEAD":
            # Nobody takes any of it: it might be gone through without end, and without a pause.
            async with closing(pieces):
                pass
            if not empty:
                self.exchange.chunk(b"")
            self._whole = True
            return
        async with closing(pieces) as iterator:
            async for piece in iterator:
                data = piece.encode() if isinstance(piece, str) else piece
                # An empty one would be the end.
                if data:
                    await self.sent(self.exchange.chunk(data))
        self.exchange.chunk(b"")
        self._whole = True

    def _failed(self, error: Exception) -> None:
        if isinstance(error, ConnectionError) and self.gone:
            _log.debug("the client of %s is gone", self.name)
        elif isinstance(error, UpgradeError):
            _log.info("%s became no WebSocket: %s", self.name, error)
        else:
            _log.error("the handler of %s failed", self.name, exc_info=error)
        self._give_up(500, 1011)

    def _give_up(self, status: int, code: int) -> None:
        """Ends it in the handler's place, as far as it has not ended."""
        if self.gone or self._whole:
            return
        # The client may have left this very moment.
        with suppress(ConnectionError, RuntimeError):
            if self.websocket is not None:
                self.websocket.say_close(code)
            elif self._begun:
                self.exchange.abort()
            else:
                self.exchange.reply(status, [("Content-Type", "text/plain")], b"")


def _is_asked_to_end() -> bool:
    """Whether somebody has cancelled the present task, and not what it awaits. Before Python 3.11
    nobody knows."""
    task = asyncio.current_task()
    cancelling: Callable[[], int] | None = getattr(task, "cancelling", None)
    return cancelling is None or cancelling() > 0
