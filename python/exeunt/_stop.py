"""What a program is told of its stop."""

import asyncio
import time
from collections.abc import Generator
from contextlib import suppress
from typing import Any

from ._lifecycle import Lifecycle, Phase

__all__ = ["Stop"]


class Stop:
    """Says that the program is to stop; to async code, to sync code and to threads.

    It is set when the drain begins (L12): at the stop request, or after `lame_duck`.
    """

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle
        self._waiting: set[asyncio.Future[None]] = set()
        # Set once somebody waits for the stop: a program that does has started.
        self._ready = False

    def is_set(self) -> bool:
        """Whether the program is to stop."""
        return self._lifecycle.phase >= Phase.DRAINING

    async def wait(self) -> None:
        """Waits until the program is to stop. Whoever does has started: see `App.ready`."""
        self._get_ready()
        if self.is_set():
            return
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(waiting)
        try:
            await waiting
        finally:
            self._waiting.discard(waiting)

    def __await__(self) -> Generator[Any, None, None]:
        return self.wait().__await__()

    def wait_blocking(self, timeout: float | None = None) -> bool:
        """The same for sync code and threads, for `timeout` seconds at most; says what it is then.

        Python's signal handlers run meanwhile, if this is the main thread.
        """
        self._get_ready()
        return self._lifecycle.wait(timeout, Phase.DRAINING)

    async def sleep(self, seconds: float) -> bool:
        """Sleeps, but not past the stop; says whether that is there."""
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.wait(), seconds)
        return self.is_set()

    def request(self, cause: str) -> bool:
        """Requests the stop; says whether nobody had before. From any thread."""
        return self._lifecycle.request_stop(cause)

    @property
    def cause(self) -> str | None:
        """Why, in words; None before the stop request."""
        return self._lifecycle.cause

    def time_left(self) -> float | None:
        """Seconds until what is in flight is cut; None before the stop request."""
        deadline = self._lifecycle.drain_deadline
        return None if deadline is None else max(deadline - time.monotonic(), 0.0)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {'set' if self.is_set() else 'not set'}>"

    def _get_ready(self) -> None:
        if not self._ready:
            self._ready = True
            self._lifecycle.ready()

    def _tell(self) -> None:
        """Wakes those who wait. In the thread of their loop."""
        for waiting in list(self._waiting):
            if not waiting.done():
                waiting.set_result(None)
