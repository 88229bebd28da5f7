"""A WebSocket, whose handler is a coroutine (RFC 6455)."""

from asyncio import Future
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .conversation import Conversation

Message = str | bytes

QUEUED_MESSAGES = 64
"""More than this are not kept: the peer is not read until half of them are taken."""
QUEUED_SIZE = 1024 * 1024
"""The same in bytes and characters."""


class UpgradeError(Exception):
    """The request did not become a WebSocket, and has its answer."""


class ConnectionClosedError(ConnectionError):
    """The WebSocket is closed. `code` is 1006 if the peer has left without a Close, 1005 if he gave
    none."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"the WebSocket is closed: {code} {reason}".rstrip())
        self.code = code
        self.reason = reason


class WebSocket:
    """Messages both ways: `str` for text, `bytes` for binary.

    `async for message in ws` ends when the connection does, however it does: `close_code` tells. A
    peer who leaves does not cancel the handler's task, which may have something to bring to its
    end; who waits for neither a message nor a `send` looks at `is_open`, or awaits `wait_closed`.
    """

    def __init__(self, conversation: "Conversation") -> None:
        self._conversation = conversation
        self._exchange = conversation.exchange
        self._messages: deque[Message] = deque()
        self._size = 0
        self._paused = False
        self._said_close = False
        self._waiters: list[Future[None]] = []
        self._gone: list[Future[None]] = []
        self.close_code: int | None = None
        self.close_reason = ""

    @property
    def is_open(self) -> bool:
        """Whether messages may be sent."""
        return self.close_code is None and not self._said_close and not self._conversation.gone

    async def receive(self) -> Message:
        """The next message. Raises `ConnectionClosedError` when there is none any more."""
        while not self._messages:
            if self.close_code is not None:
                raise ConnectionClosedError(self.close_code, self.close_reason)
            await self._wait(self._waiters)
        message = self._messages.popleft()
        self._size -= len(message)
        if (
            self._paused
            and 2 * len(self._messages) <= QUEUED_MESSAGES
            and 2 * self._size <= QUEUED_SIZE
        ):
            self._pause(False)
        return message

    def __aiter__(self) -> "WebSocket":
        return self

    async def __anext__(self) -> Message:
        try:
            return await self.receive()
        except ConnectionClosedError:
            raise StopAsyncIteration from None

    async def send(self, message: Message | bytearray | memoryview) -> None:
        """Sends a message, and waits while the peer does not take what was sent before (256 KiB).

        Raises `ConnectionClosedError`. If this is cancelled while it waits, the message goes all
        the same.
        """
        self._check_open()
        try:
            unsent = self._exchange.send(
                message if isinstance(message, str | bytes) else bytes(message)
            )
            await self._conversation.sent(unsent)
        except ConnectionError:
            raise self._closed() from None

    async def ping(self, payload: bytes = b"") -> None:
        """Asks whether the peer is there, in 125 bytes at most; nobody is told of his answer."""
        self._check_open()
        try:
            self._exchange.ping(payload)
        except ConnectionError:
            raise self._closed() from None

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Says Close, and waits for the end of the connection (`close_seconds` at most).

        Messages that come meanwhile are lost; take them before. A second time only waits.
        """
        self.say_close(code, reason)
        await self.wait_closed()

    async def wait_closed(self) -> None:
        """Waits until the connection is gone."""
        while not self._conversation.gone:
            await self._wait(self._gone)

    def say_close(self, code: int, reason: str = "") -> None:
        """Says Close, unless that was said, and waits for nothing."""
        if self._said_close or self._conversation.gone:
            return
        with suppress(ConnectionError):
            self._exchange.say_close(code, reason)
        self._said_close = True
        self._messages.clear()
        self._size = 0

    def arrived(self, message: Message) -> None:
        """A message came."""
        if self._said_close:
            return
        self._messages.append(message)
        self._size += len(message)
        if not self._paused and (
            len(self._messages) >= QUEUED_MESSAGES or self._size >= QUEUED_SIZE
        ):
            self._pause(True)
        _wake(self._waiters)

    def closing(self, code: int, reason: str) -> None:
        """The peer has said Close: nothing comes behind it."""
        if self.close_code is None:
            self.close_code, self.close_reason = code, reason
        _wake(self._waiters)

    def left(self) -> None:
        """The connection is gone."""
        self.closing(1006, "")
        _wake(self._gone)

    def _pause(self, paused: bool) -> None:
        self._paused = paused
        self._exchange.pause(paused)

    def _check_open(self) -> None:
        if not self.is_open:
            raise self._closed()

    def _closed(self) -> ConnectionClosedError:
        # The server itself has said Close in a drain, if it was not the handler.
        code = 1001 if self.close_code is None and not self._said_close else self.close_code
        return ConnectionClosedError(code or 1000, self.close_reason)

    async def _wait(self, waiters: "list[Future[None]]") -> None:
        waiter = self._conversation.server.future()
        waiters.append(waiter)
        try:
            await waiter
        finally:
            if waiter in waiters:
                waiters.remove(waiter)


def _wake(waiters: "list[Future[None]]") -> None:
    woken = waiters.copy()
    waiters.clear()
    for waiter in woken:
        if not waiter.done():
            waiter.set_result(None)
