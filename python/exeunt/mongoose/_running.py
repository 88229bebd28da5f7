"""`Manager.run`: signals, the lifecycle, and a way out of handlers that are stuck.

The lifecycle has SIGINT and SIGTERM while it runs. Python's handler of both is `_Run._told`
meanwhile, which the main thread calls beside each: it does nothing, until the stop is over and the
program is still in a handler. Then it raises.
"""

import signal
from contextlib import ExitStack
from types import FrameType
from typing import TYPE_CHECKING

from .._native import DrainReport, Lifecycle, Report, _follow, _nudge_when_over, _run_poll
from .._native import Manager as NativeManager
from .._phase import Phase

if TYPE_CHECKING:
    from signal import _HANDLER

MOMENT = 0.1
"""How long a signal may take from its handler to the lifecycle, in seconds: a thousand times
more than it does."""

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Run:
    """One run of a manager, in the main thread."""

    def __init__(self, manager: NativeManager, grace: float, lame_duck: float) -> None:
        self._manager = manager
        self._before: list[tuple[signal.Signals, _HANDLER]] = []
        self._early: str | None = None
        self.lifecycle: Lifecycle | None = None
        self.drained: DrainReport | None = None
        self.report: Report | None = None
        self._limits = (grace, lame_duck)

    def __call__(self, poll_ms: float) -> None:
        """Serves, drains and closes; what a handler raises that is no Exception leaves it."""
        with ExitStack() as ends:
            ends.callback(self._restore)
            self._prepare()
            grace, lame_duck = self._limits
            self.lifecycle = Lifecycle(
                grace=grace, lame_duck=lame_duck, signals=SIGNALS, chain_on_main_thread=True
            )
            ends.callback(self._finish)
            if self._before:
                ends.callback(_nudge_when_over(self.lifecycle, self._before[0][0]).close)
            _follow(self._manager, self.lifecycle)
            if self._early is not None:
                self.lifecycle.request_stop(self._early)
            self._serve(self.lifecycle, poll_ms)
        self._leave()

    def request(self, cause: str) -> bool:
        """Has it end, by a call."""
        if self.lifecycle is not None:
            return self.lifecycle.request_stop(cause)
        first = self._early is None
        self._early = self._early or cause
        return first

    def _prepare(self) -> None:
        for what in SIGNALS:
            before = signal.getsignal(what)
            # What is ignored stays ignored, and what is not Python's cannot be put back.
            if before is not None and before is not signal.SIG_IGN:
                self._before.append((what, before))
                signal.signal(what, self._told)

    def _restore(self) -> None:
        while self._before:
            what, before = self._before[-1]
            signal.signal(what, before)
            self._before.pop()

    def _serve(self, lifecycle: Lifecycle, poll_ms: float) -> None:
        try:
            lifecycle.ready()
            while self.drained is None:
                self.drained = _run_poll(self._manager, lifecycle, poll_ms)
        finally:
            # The native one, which drains nothing more.
            NativeManager.close(self._manager)

    def _finish(self) -> None:
        assert self.lifecycle is not None
        try:
            self.report = self.lifecycle.close()
        except BaseException:
            # Another signal's handler has raised in the wait.
            self.report = self.lifecycle.close()
            raise

    def _told(self, number: int, frame: FrameType | None) -> None:
        if self.lifecycle is None:
            self._early = signal.Signals(number).name
        elif not self.lifecycle.is_stopping:
            # The lifecycle is being told of it, too, unless it came just before there was one.
            if not self.lifecycle.wait(MOMENT):
                self.lifecycle.request_stop(signal.Signals(number).name)
        elif self.lifecycle.phase is Phase.STOPPED and self._is_served_by(frame):
            # At once, since it is over.
            report = self.lifecycle.close()
            if report.verdict == "forced" or "manager" in report.unfinished:
                raise self._reason(report)

    def _is_served_by(self, frame: FrameType | None) -> bool:
        """Whether that frame is in a handler: anywhere else, an exception would cost the
        clean-up."""
        while frame is not None:
            if frame.f_code is Run._serve.__code__:
                return True
            frame = frame.f_back
        return False

    def _leave(self) -> None:
        report = self.report
        if report is not None and report.verdict == "forced":
            raise self._reason(report)

    @staticmethod
    def _reason(report: Report) -> BaseException:
        number = report.exit_status - 128 if report.verdict == "forced" else report.signal
        if number == signal.SIGINT:
            return KeyboardInterrupt()
        return SystemExit(report.exit_status if number is None else 128 + number)
