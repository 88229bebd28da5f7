"""The engine's event loop within that of asyncio: whoever waits is the latter."""

from asyncio import AbstractEventLoop, Handle, TimerHandle
from collections import deque
from collections.abc import Callable

from .._native import CutWork, Embedded

Drained = tuple[float, list[CutWork], int, list[str]]


class Drive:
    """Turns the engine when its descriptor is readable, or something is due, and never waits.

    `told` is called with what has happened (see `Embedded.turn`), `drained` when a drain is over,
    `failed` when the engine cannot go on; it is turned no more behind either of these.
    """

    def __init__(
        self,
        loop: AbstractEventLoop,
        engine: Embedded,
        told: Callable[[int, int, object], None],
        drained: Callable[[Drained], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._loop = loop
        self._engine = engine
        self._told = told
        self._drained = drained
        self._failed = failed
        self._happened: deque[tuple[int, int, object]] = deque()
        self._timer: TimerHandle | None = None
        self._timer_at = 0.0
        self._soon: Handle | None = None
        self._over = False
        self._watched = engine.fileno()
        loop.add_reader(self._watched, self.turn)
        self.deadline: float | None = None
        """That of a drain, by the loop's clock, once it has begun."""

    def turn(self) -> None:
        """Lets the engine do what is to be done."""
        if self._over:
            return
        try:
            self._pass()
        except BaseException:
            # A signal's handler has raised something, perhaps: what has happened is told all the
            # same, and what is due is asked for again.
            self._arm(0)
            raise

    def _pass(self) -> None:
        left = None if self.deadline is None else self.deadline - self._loop.time()
        try:
            due, drained = self._engine.turn(self._happened, left)
        except (OSError, RuntimeError) as error:
            self.leave()
            self._failed(error)
            return
        while self._happened:
            self._told(*self._happened.popleft())
        if drained is not None:
            self.leave()
            self._drained(drained)
        elif due is not None:
            self._arm(due)

    def leave(self) -> None:
        """Turns it no more."""
        if self._over:
            return
        self._over = True
        for handle in (self._timer, self._soon):
            if handle is not None:
                handle.cancel()
        self._loop.remove_reader(self._watched)

    def _arm(self, due: float) -> None:
        if due <= 0:
            if self._soon is None:
                self._soon = self._loop.call_soon(self._turn_soon)
            return
        at = self._loop.time() + due
        # One that comes too early does no harm, and most deadlines only move away.
        if self._timer is not None:
            if self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(at, self._turn_due)
        self._timer_at = at

    def _turn_soon(self) -> None:
        self._soon = None
        self.turn()

    def _turn_due(self) -> None:
        self._timer = None
        self.turn()
