"""The thread that sees to the end of a program whose main thread does not come back (P56)."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ._held import is_blocking
from ._leave import end_process
from ._lifecycle import Lifecycle, Phase, Report
from ._main_thread import interrupt_main_thread, prepare
from ._native import Component
from ._native import _Shields as _shields

__all__ = ["THREADS", "Guard", "Interrupted"]

THREADS = "threads"
"""The component of `exeunt.run` itself, which waits for them."""

_PATIENCE = 0.25
"""Seconds that the main thread has to notice the end; half of what the engine gives us (L19)."""

_OFTEN = 0.05
"""Seconds between two looks at what the main thread does, once a stop is requested."""

if sys.platform == "win32":
    _NUDGE = signal.SIGTERM
else:
    _NUDGE = signal.SIGURG
"""Interrupts what the main thread waits in. Its default is to be ignored, should one come late; on
Windows, where it is never sent, its handler alone is called."""


class Interrupted(BaseException):
    """Raised in sync code of the main thread whose time is over."""


class Guard:
    """Watches over one run of the main thread. For whoever owns the process.

    It is left behind the lifecycle's close, which ends its wait.
    """

    def __init__(self, lifecycle: Lifecycle, say: Callable[[], None]) -> None:
        self._lifecycle = lifecycle
        self._say = say
        self._noticed = threading.Event()
        self._stuck: Callable[[], BaseException | None] | None = None
        self._before: Any = None
        self._thread = threading.Thread(target=self._watch, name="exeunt-guard", daemon=True)

    def __enter__(self) -> "Guard":
        if threading.current_thread() is threading.main_thread():
            prepare()
            self._before = signal.signal(_NUDGE, self._nudged)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._noticed.set()
        self._thread.join()
        if self._before is not None:
            signal.signal(_NUDGE, self._before)

    def noticed(self) -> None:
        """The main thread has seen the end, and will leave."""
        self._noticed.set()

    @contextmanager
    def told(self, stuck: Callable[[], BaseException | None]) -> Iterator[None]:
        """Meanwhile the main thread runs sync code; once `stuck` says so, it is interrupted."""
        before, self._stuck = self._stuck, stuck
        try:
            yield
        finally:
            self._stuck = before

    @contextmanager
    def interruptible(self, component: Component, others: Sequence[Component]) -> Iterator[None]:
        """Interrupts a start or close that the engine has given up."""

        def stuck() -> BaseException | None:
            if component.state == "over" or self._lifecycle.phase == Phase.STOPPED:
                return Interrupted(f"{component.name} takes too long")
            if any(each.state == "closing" for each in others if each is not component):
                return Interrupted(f"{component.name} takes too long")
            return None

        with self.told(stuck):
            yield

    def _nudged(self, _number: int, _frame: object) -> None:
        stuck = self._stuck
        error = stuck() if stuck is not None else None
        if error is not None and not is_blocking() and not self._is_shielded():
            self._stuck = None
            raise error

    def _is_shielded(self) -> bool:
        """A block holds that off until the drain deadline: its rollback comes before the end."""
        return self._lifecycle.phase < Phase.CLOSING and _shields.holds()

    def _watch(self) -> None:
        main = threading.main_thread().ident
        # Also where a start takes too long: that stops the program.
        self._lifecycle.wait(None, Phase.LAME_DUCK)
        while not self._lifecycle.wait(_OFTEN, Phase.STOPPED):
            if self._noticed.is_set():
                return
            self._nudge(main)
        for _ in range(10):
            self._nudge(main)
            if self._noticed.wait(_PATIENCE / 10):
                return
        # Taking the report keeps the engine from ending the process itself, without a flush.
        end_process(_status(self._lifecycle.close()), self._say)

    def _nudge(self, main: int | None) -> None:
        stuck = self._stuck
        if stuck is None or main is None or self._before is None or stuck() is None:
            return
        if sys.platform != "win32":
            signal.pthread_kill(main, _NUDGE)
        elif signal.getsignal(_NUDGE) == self._nudged:
            interrupt_main_thread(_NUDGE)


def _status(report: Report) -> int:
    """The loop that is stuck has not closed our own component either: that is no failure (L14)."""
    ours = all(name == THREADS for name, _ in report.failures)
    if report.verdict == "failed" and ours:
        return 3
    return report.exit_status
