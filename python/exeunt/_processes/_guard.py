"""What a worker does about signals, and about the end of its parent."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType

from .._native import die_with_parent

FROM_TERMINAL = [
    getattr(signal, name) for name in ("SIGINT", "SIGQUIT", "SIGHUP") if hasattr(signal, name)
]
HANDLED = [*FROM_TERMINAL, signal.SIGTERM]
"""Blocked from before a worker is born until its handlers are there."""

TERMINATED = 128 + signal.SIGTERM


class Guard:
    """The signal handlers of a worker.

    The terminal's signals go to all of its foreground processes; the pool's own process decides
    what they mean, and tells its workers. So a worker takes them, and does nothing. (It does not
    ignore them: what is ignored stays so in programs that it runs.) SIGTERM is told to the pool,
    `noted`; when the pool has called for the end (`terminate`), it leaves the worker by SystemExit.
    """

    def __init__(self, noted: Callable[[], object]) -> None:
        self._noted = noted
        self._due = False
        self._held = False
        self.terminating = False
        self._main = threading.get_ident()

    def install(self, parent: int, mask: Iterable[int]) -> None:
        """Installs the handlers, and lets the signals in that have waited for them."""
        die_with_parent()
        if os.getppid() != parent:
            # The kernel looks at the parent's end from now on: it may have ended before.
            os._exit(TERMINATED)
        signal.set_wakeup_fd(-1)  # of the parent's event loop, in a fork
        for signum in FROM_TERMINAL:
            signal.signal(signum, _nothing)
        signal.signal(signal.SIGTERM, self._on_sigterm)
        signal.pthread_sigmask(signal.SIG_SETMASK, set(mask) - set(HANDLED))

    def terminate(self) -> None:
        """Leaves the main thread by SystemExit; for another thread."""
        self.terminating = True
        signal.pthread_kill(self._main, signal.SIGTERM)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Lets the main thread do something whole, before it leaves."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
            if self._due:
                self._due = False
                sys.exit(TERMINATED)

    def _on_sigterm(self, _signum: int, _frame: FrameType | None) -> None:
        if not self.terminating:
            self._noted()
        elif self._held:
            self._due = True
        else:
            sys.exit(TERMINATED)


def block() -> None:
    """Keeps the signals out of this thread, and out of the children that it starts."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)


def _nothing(_signum: int, _frame: FrameType | None) -> None:
    pass
