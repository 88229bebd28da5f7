"""Waiting for descriptors in loops that cannot: the proactor of Windows (P79).

There a thread waits by `select` (for sockets, which all that we wait for are), and has the loop
call back; it waits again when the loop has done so.
"""

import asyncio
import select
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

__all__ = ["add_reader", "remove_reader"]

_MOST = 500
"""Windows' `select` takes 512 sockets (CPython's documentation of `select`)."""

_PAUSE = 0.01
"""Seconds until the next try where a socket was closed while it was waited for."""

_waiting: dict[asyncio.AbstractEventLoop, "_Waiting"] = {}


def add_reader(
    loop: asyncio.AbstractEventLoop, descriptor: int, callback: Callable[..., object], *args: Any
) -> None:
    """As `loop.add_reader`, in any loop. In the loop's thread.

    Raises `RuntimeError` if a loop that cannot is to wait for more than 500 of them.
    """
    try:
        loop.add_reader(descriptor, callback, *args)
    except NotImplementedError:
        waiting = _waiting.get(loop)
        if waiting is None:
            waiting = _waiting[loop] = _Waiting(loop)
        waiting.add(descriptor, callback, args)


def remove_reader(loop: asyncio.AbstractEventLoop, descriptor: int) -> None:
    """As `loop.remove_reader`, before the descriptor is closed; nothing if it is not waited for."""
    waiting = _waiting.get(loop)
    if waiting is not None:
        waiting.remove(descriptor)
        return
    with suppress(NotImplementedError):
        loop.remove_reader(descriptor)


class _Waiting:
    """One thread for one loop, as long as that waits for anything."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        # Changed by the loop's thread alone.
        self._callbacks: dict[int, tuple[Callable[..., object], tuple[Any, ...]]] = {}
        self._ear, self._bell = socket.socketpair()
        self._ear.setblocking(False)
        self._bell.setblocking(False)
        self._called = threading.Event()
        self._over = False
        threading.Thread(target=self._run, name="exeunt-select", daemon=True).start()

    def add(self, descriptor: int, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        if len(self._callbacks) >= _MOST:
            raise RuntimeError(
                f"{type(self._loop).__name__} cannot wait for descriptors itself, and a thread "
                f"waits for {_MOST} at most: have fewer components and listeners, or use a "
                "SelectorEventLoop"
            )
        self._callbacks[descriptor] = (callback, args)
        self._ring()

    def remove(self, descriptor: int) -> None:
        self._callbacks.pop(descriptor, None)
        if not self._callbacks:
            _waiting.pop(self._loop, None)
            self._over = True
            self._called.set()
        self._ring()

    def _ring(self) -> None:
        # Full is as good as sent: the thread has not looked yet. Closed: it has ended.
        with suppress(OSError):
            self._bell.send(b"\0")

    def _run(self) -> None:
        with self._ear, self._bell:
            while not self._over:
                ready = self._select()
                if not ready:
                    continue
                self._called.clear()
                try:
                    self._loop.call_soon_threadsafe(self._call, ready)
                except RuntimeError:
                    return  # the loop is closed
                if not self._over:
                    self._called.wait()

    def _select(self) -> list[int]:
        ear = self._ear.fileno()
        try:
            ready, _, _ = select.select([*self._callbacks, ear], (), ())
        except (OSError, ValueError):
            # Closed just behind its removal.
            time.sleep(_PAUSE)
            return []
        if ear in ready:
            ready.remove(ear)
            with suppress(OSError):
                self._ear.recv(4096)
        return ready

    def _call(self, ready: list[int]) -> None:
        try:
            for descriptor in ready:
                callback, args = self._callbacks.get(descriptor, (None, ()))
                if callback is not None:
                    self._guarded(callback, args)
        finally:
            self._called.set()

    def _guarded(self, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        try:
            callback(*args)
        except Exception as error:
            # As loops do for their own.
            self._loop.call_exception_handler(
                {"message": f"Exception in callback {callback!r}", "exception": error}
            )
