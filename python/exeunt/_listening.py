"""Listening sockets for loops whose own servers accept too eagerly, and close too early."""

import asyncio
import errno
import logging
import socket
import sys
from collections.abc import Callable, Iterable
from typing import Any

from ._readers import add_reader, remove_reader

__all__ = ["Acceptor", "listen"]

_log = logging.getLogger("exeunt")

_ACCEPT_PAUSE = 0.1
"""Seconds to wait when the system has no descriptor left for a connection."""

_FULL = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
# accept(2): errors of the connection that was to be accepted, and of a network that comes back.
_TRANSIENT = {
    errno.ECONNABORTED,
    errno.EPROTO,
    errno.ENETDOWN,
    errno.ENOPROTOOPT,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.EPERM,
}


async def listen(
    host: str | Iterable[str] | None, port: int, backlog: int, reuse_port: bool
) -> list[socket.socket]:
    """One socket for each address of `host`, all addresses of the machine for None or "".

    Raises `OSError` if one of them cannot be had; then none is left open.
    """
    hosts: list[str | None] = [host or None] if host is None or isinstance(host, str) else [*host]
    listeners: list[socket.socket] = []
    try:
        for family, address in await _addresses(hosts, port):
            listeners.append(_bind(family, address, backlog, reuse_port))
    except BaseException:
        for listener in listeners:
            listener.close()
        raise
    return listeners


async def _addresses(hosts: list[str | None], port: int) -> list[tuple[int, tuple[object, ...]]]:
    loop = asyncio.get_running_loop()
    found: dict[tuple[int, tuple[object, ...]], None] = {}
    for host in hosts:
        answers = await loop.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, _, _, _, address in answers:
            found[(family, address)] = None
    return list(found)


def _bind(
    family: int, address: tuple[object, ...], backlog: int, reuse_port: bool
) -> socket.socket:
    if sys.platform == "win32" and reuse_port:
        raise ValueError("reuse_port is not for Windows, where one process listens on a port")
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setblocking(False)
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sys.platform != "win32" and reuse_port:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            # As asyncio does: the IPv4 addresses have sockets of their own.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(backlog)
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"cannot listen on {address}: {error.strerror}") from None
    return listener


class Acceptor:
    """Accepts what comes, in a loop; in the end what is on its way, too."""

    def __init__(
        self,
        listeners: list[socket.socket],
        serve: Callable[[socket.socket], object],
        *,
        ours: bool = True,
    ) -> None:
        self.listeners = listeners
        self._serve = serve
        self._ours = ours
        self._loop = asyncio.get_running_loop()
        for listener in listeners:
            listener.setblocking(False)
            # Not `sock_accept`: cancelled at the wrong moment, it drops whom it has accepted.
            add_reader(self._loop, listener.fileno(), self._accept, listener)

    async def close(self) -> None:
        """Turns new clients away, accepts all who believe to be connected, and closes (D3).

        A listener that is not ours is closed once its queue is empty: others may have it, too. If
        this is cancelled the listeners are closed at once.
        """
        listeners, self.listeners = self.listeners, []
        closing: list[Any] = []
        for listener in listeners:
            remove_reader(self._loop, listener.fileno())
            if self._ours and sys.platform != "win32":
                from ._native import _Closing

                closing.append(_Closing(listener.fileno()))
            else:
                self._take(listener)
            listener.close()
        while closing:
            for each in closing:
                while (accepted := each.accept()) is not None:
                    self._serve(socket.socket(fileno=accepted))
            closing = [each for each in closing if each.pause is not None]
            await asyncio.sleep(min((each.pause or 0.0 for each in closing), default=0.0))

    def _accept(self, listener: socket.socket) -> None:
        if not self._take(listener):
            # Otherwise the loop would spin until there is room.
            remove_reader(self._loop, listener.fileno())
            self._loop.call_later(_ACCEPT_PAUSE, self._again, listener)

    def _again(self, listener: socket.socket) -> None:
        if listener in self.listeners:
            add_reader(self._loop, listener.fileno(), self._accept, listener)

    def _take(self, listener: socket.socket) -> bool:
        """Serves all in the queue; false if the system has no room for more."""
        while True:
            try:
                accepted, _ = listener.accept()
            except (BlockingIOError, InterruptedError):
                return True
            except OSError as error:
                if error.errno in _FULL:
                    _log.error("cannot accept: %s", error)
                    return False
                if error.errno not in _TRANSIENT:
                    _log.error("accepts no more: %s", error)
                    return False
                continue
            self._serve(accepted)
