"""Listening sockets for loops whose own servers accept too eagerly, and close too early."""

import asyncio
import os
import socket
from collections.abc import Iterable

__all__ = ["listen"]


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
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setblocking(False)
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
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
