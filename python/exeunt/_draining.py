"""One connection of a `GracefulServer`, from its first byte to the last (P57)."""

import asyncio
import logging
import socket
import ssl as ssl_module
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

__all__ = ["HANDSHAKE", "Connection"]

IDLE_GRACE = 0.25
"""Seconds of silence after which a connection that drains is read no more (D5)."""

MOST_READING = 1.0
"""Seconds that a client which never falls silent is listened to."""

_log = logging.getLogger("exeunt")

HANDSHAKE = 1.0
"""Seconds that a TLS handshake has to end in the stop: who has not said more has asked nothing."""

LINGER = 2.0
"""Seconds that a client which sends on is waited for behind our end, until it ends too (D7)."""

_DISCARDED = 2**16
"""Bytes that are read and thrown away meanwhile."""


class _Protocol(asyncio.StreamReaderProtocol):
    """Knows when it has heard something last, and can be deaf."""

    def __init__(self, reader: asyncio.StreamReader, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(reader, loop=loop)
        self.stream = reader
        self.heard = time.monotonic()
        self.deaf = False
        self.discarded = 0
        self.ended = loop.create_future()
        self.lost: Exception | None = None

    def data_received(self, data: bytes) -> None:
        self.heard = time.monotonic()
        if self.deaf:
            self.discarded += len(data)
            if self.discarded > _DISCARDED:
                self.end()
        else:
            super().data_received(data)

    def eof_received(self) -> bool | None:
        self.end()
        return None if self.deaf else super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = exc
        self.end()
        super().connection_lost(exc)

    def end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


class Connection:
    """One connection, and its handler."""

    def __init__(
        self,
        handler: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[object]],
        limit: int,
    ) -> None:
        self._handler = handler
        self._limit = limit
        self._draining = asyncio.Event()
        self._transport: asyncio.Transport | None = None
        self._aborted = False

    def drain(self) -> None:
        """Reads what has arrived, and no more."""
        self._draining.set()

    def abort(self) -> None:
        """Closes at once; what is not sent is lost."""
        self._aborted = True
        if self._transport is not None:
            self._transport.abort()

    async def serve(
        self, accepted: socket.socket, ssl: ssl_module.SSLContext | None, goodbye: bytes
    ) -> None:
        """Serves it to its end."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=self._limit, loop=loop)
        protocol = _Protocol(reader, loop)
        waiting = asyncio.ensure_future(self._give_up_handshake(accepted))
        try:
            transport, _ = await loop.connect_accepted_socket(lambda: protocol, accepted, ssl=ssl)
        except OSError as error:
            # A client that is gone, or speaks no TLS.
            accepted.close()
            _log.debug("no connection: %s", error)
            return
        except asyncio.CancelledError:
            accepted.close()
            raise
        finally:
            waiting.cancel()
        self._transport = transport
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        listening = asyncio.ensure_future(self._listen(protocol, transport))
        try:
            await self._handler(reader, writer)
            await self._leave(protocol, transport, goodbye)
        except OSError as error:
            transport.abort()
            # The client has gone: its handler cannot do more, and nor can we.
            if not isinstance(error, ConnectionError) and error is not protocol.lost:
                raise
        except BaseException:
            transport.abort()
            raise
        finally:
            listening.cancel()
            transport.close()
            with suppress(asyncio.CancelledError):
                await listening

    async def _give_up_handshake(self, accepted: socket.socket) -> None:
        await self._draining.wait()
        await asyncio.sleep(HANDSHAKE)
        with suppress(OSError):
            accepted.shutdown(socket.SHUT_RDWR)

    async def _listen(self, protocol: _Protocol, transport: asyncio.Transport) -> None:
        """Once it drains: to the end of what the client has to say."""
        await self._draining.wait()
        begun = time.monotonic()
        while not protocol.ended.done():
            now = time.monotonic()
            silent = min(now - protocol.heard, now - begun)
            # Where reading is paused, the handler has not taken what is there, and more may be.
            if transport.is_reading():
                if silent >= IDLE_GRACE or now - begun >= MOST_READING:
                    break
            else:
                begun = now
            await asyncio.sleep(max(IDLE_GRACE - silent, 0.01))
        protocol.deaf = True
        protocol.stream.feed_eof()

    async def _leave(
        self, protocol: _Protocol, transport: asyncio.Transport, goodbye: bytes
    ) -> None:
        """Behind the handler. What is written arrives: a close with unread input would reset."""
        if transport.is_closing() or not self._draining.is_set():
            return
        protocol.deaf = True
        transport.write(goodbye)
        if not transport.is_reading():
            transport.resume_reading()
        if transport.can_write_eof():
            transport.write_eof()
        else:
            transport.close()
        while transport.get_write_buffer_size() and not protocol.ended.done():
            await asyncio.wait({protocol.ended}, timeout=0.01)
        begun = protocol.heard = time.monotonic()
        while not protocol.ended.done():
            now = time.monotonic()
            if now - protocol.heard >= IDLE_GRACE or now - begun >= LINGER:
                break
            await asyncio.wait({protocol.ended}, timeout=IDLE_GRACE - (now - protocol.heard))
