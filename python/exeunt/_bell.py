"""Waiting and waking without a lock that a signal handler could find taken.

A Python signal handler runs between two bytecodes of the main thread, perhaps while that holds the
lock of a `threading.Condition`, an `Event` or a `queue.Queue`: whoever takes the same lock in the
handler waits for itself, for ever. What is here takes none: single operations of dictionaries,
which are atomic, and locks that each have one owner.
"""

import asyncio
import sys
import threading
import time
from _thread import allocate_lock
from collections.abc import Callable
from contextlib import suppress

# Where waiting for a lock cannot be interrupted, Ctrl-C has to wait for the end of one slice.
_SLICE = 0.1 if sys.platform == "win32" else threading.TIMEOUT_MAX


class Bell:
    """Wakes all who wait. `ring` may be called anywhere, also in a signal handler."""

    __slots__ = ("__weakref__", "_sleepers")

    def __init__(self) -> None:
        self._sleepers: dict[int, Callable[[], object]] = {}

    def ring(self) -> None:
        """Wakes those who wait now; each of them looks again at what it waits for."""
        for key in list(self._sleepers):
            wake = self._sleepers.pop(key, None)
            if wake is not None:
                wake()

    def wait_for(self, condition: Callable[[], bool], timeout: float | None = None) -> bool:
        """Waits until `condition` is true, for `timeout` seconds at most; says what it is then.

        Whoever makes it true rings afterwards. Signal handlers run meanwhile.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while not condition():
            left = _SLICE
            if deadline is not None:
                left = min(deadline - time.monotonic(), _SLICE)
                if left <= 0:
                    return False
            asleep = allocate_lock()
            asleep.acquire()
            # Seen first, looked at afterwards: a ring in between finds the sleeper.
            self._sleepers[id(asleep)] = asleep.release
            try:
                if not condition():
                    asleep.acquire(timeout=left)
            finally:
                self._sleepers.pop(id(asleep), None)
        return True

    async def await_for(self, condition: Callable[[], bool], timeout: float | None = None) -> bool:
        """The same for a task of asyncio."""
        loop = asyncio.get_running_loop()
        deadline = None if timeout is None else time.monotonic() + timeout
        while not condition():
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return False
            woken: asyncio.Future[None] = loop.create_future()

            def wake(woken: asyncio.Future[None] = woken) -> None:
                # A loop that is closed has nobody left to wake.
                with suppress(RuntimeError):
                    loop.call_soon_threadsafe(_wake, woken)

            self._sleepers[id(woken)] = wake
            try:
                if not condition():
                    # A future, and so no task: those that nobody knows are cancelled in a stop.
                    await asyncio.wait_for(woken, left)
            except asyncio.TimeoutError:
                return condition()
            finally:
                self._sleepers.pop(id(woken), None)
        return True


def _wake(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)


class StopEvent:
    """Says that a stop is wished for. Like `threading.Event`, but `set` may be called in a signal
    handler.
    """

    __slots__ = ("__weakref__", "_bell", "_set")

    def __init__(self) -> None:
        self._set = False
        self._bell = Bell()

    def is_set(self) -> bool:
        """Whether a stop is wished for."""
        return self._set

    def set(self) -> None:
        """Wishes for a stop, for good, and wakes all who wait."""
        self._set = True
        self._bell.ring()

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until a stop is wished for, for `timeout` seconds at most; says whether it is."""
        return self._bell.wait_for(self.is_set, timeout)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {'set' if self._set else 'not set'}>"
