"""`Manager`: the native one, and its stop as a Python programmer would rather write it."""

from _thread import RLock, get_ident
from time import monotonic

from .._native import DrainReport, Report, _configure, _drain_poll
from .._native import Manager as NativeManager
from ._times import reserve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any

    from .._native import Connection
    from ._background import Background
    from ._running import Run


class Manager(NativeManager):
    """An event loop: sockets, one handler, timers and wakeups, turned by whoever calls `poll`, by
    `run`, or by a thread of its own (`start`).

    `handler(conn, ev, data)` is called with everything that happens to connections which have no
    handler of their own; what it raises goes to `error_handler(exc)`, or to stderr as a traceback.
    Handlers run in the thread that polls. All other methods may be called by any thread, and in
    handlers, unless they say otherwise.

    Used in a `with` statement, it is closed at the end of the block, and stopped if it was
    started.
    """

    _run: "Run | None" = None
    _closed_by: int | None = None
    _report: Report | None = None
    _drained: DrainReport | None = None
    _background: "Background | None" = None
    _stopping: "RLock | None" = None

    def __init__(
        self,
        handler: "Callable[[Connection, int, Any], object] | None" = None,
        enable_wakeup: bool = False,
        error_handler: "Callable[[Exception], object] | None" = None,
    ) -> None:
        _configure(self, handler, enable_wakeup, error_handler)

    @property
    def report(self) -> Report | None:
        """What happened in the stop of `run`: why, how long, what was cut. None before."""
        return self._report

    @property
    def drain_report(self) -> DrainReport | None:
        """What the last drain did, by `run`, `drain`, `stop` or `close`. None before."""
        return self._drained

    def run(self, poll_ms: float = 100, *, grace: float = 25.0, lame_duck: float = 0.0) -> None:
        """Serves until SIGINT, SIGTERM or `request_stop`, drains, and closes.

        From the stop on, answers say `Connection: close`; listeners close without losing anybody,
        requests that were accepted are answered, and what is left after `grace` less the close
        reserve (the smaller of 5 s and 20 %) is cut, and named in `report`. `lame_duck` is how
        long to go on accepting first, for balancers to find out. All three in seconds; `poll_ms`
        is how often listeners are told `MG_EV_POLL` at least.

        The signals' handlers are as before when it returns; one that is ignored stays ignored.
        Other signals' Python handlers run meanwhile, within milliseconds; what they raise leaves
        `run`, which closes everything first. The third signal forces the end: the rest is cut, and
        KeyboardInterrupt (SystemExit(143) for SIGTERM) leaves `run`; it is raised in a handler
        that is stuck. So it is behind the hard deadline.

        Raises ValueError in any other thread than the main one, and RuntimeError while something
        else polls.
        """
        import threading

        if threading.current_thread() is not threading.main_thread():
            raise ValueError(
                "run() handles signals, which the main thread alone may; in another thread, poll, "
                "or start() and stop()"
            )
        from ._running import Run

        self._no_thread("run")
        if self._run is not None:
            raise RuntimeError("run() is at work here already, around this handler")
        run = Run(self, grace, lame_duck)
        self._run = run
        try:
            run(poll_ms)
        finally:
            self._report, self._drained = run.report, run.drained
            self._run = None

    def request_stop(self, cause: str) -> bool:
        """Has `run`, or the thread of `start`, end; never waits. True if nobody had requested it
        before.

        For handlers, timers and other threads. Whoever has started it has to call `stop` all the
        same.
        """
        if self._run is not None:
            return self._run.request(cause)
        if self._background is not None and self._background.is_alive:
            return self._background.request()
        raise RuntimeError("neither run() nor start() is at work here, so there is nothing to stop")

    def drain(self, timeout: float = 25.0) -> DrainReport:
        """Stops in peace: listeners close without losing anybody, requests that were accepted are
        answered, streams are told, silent connections close; what is left in `timeout` seconds,
        less the smaller of 5 s and 20 %, is cut and reported.

        Polls meanwhile, so it may be called by a thread that might poll. What a signal's handler
        raises leaves it; it can be gone on with by a further call. Afterwards nothing is open but
        UDP sockets, and the manager can be closed.
        """
        self._no_thread("drain")
        return self._drain(timeout)

    def start(self) -> None:
        """Polls in a thread of its own, until `stop`. RuntimeError if that was called before."""
        from ._background import Background

        if self._freed:
            raise RuntimeError("Manager has been freed")
        # Reentrant, since a signal's handler may stop it, too, in the middle of that.
        stopping = RLock()
        if self.__dict__.setdefault("_stopping", stopping) is not stopping:
            raise RuntimeError("this Manager was started before; make another")
        try:
            self._background = Background(self)
        except BaseException:
            # There is no thread to be had.
            del self.__dict__["_stopping"]
            raise

    def stop(self, timeout: float = 25.0) -> DrainReport:
        """Has the thread of `start` drain, waits for its end, and closes.

        TimeoutError after `timeout` seconds if a handler holds it up, which names that; then
        nothing is closed, and it can be called again. Answers the same report if it is over. What
        a handler raised that is no Exception (SystemExit, say) has ended the thread, and is raised
        here, once all is closed.

        RuntimeError without `start`, and in a handler, which would wait for itself.
        """
        background, stopping = self._background, self._stopping
        if background is None or stopping is None:
            raise RuntimeError("this Manager was not started: call start() first, or close()")
        if background.is_here:
            raise RuntimeError(
                "stop() waits for the thread that this handler runs in: call request_stop() here, "
                "and stop() elsewhere"
            )
        end = monotonic() + timeout
        if not stopping.acquire(timeout=max(timeout, 0)):
            raise TimeoutError(f"another thread has been stopping this Manager for {timeout:g} s")
        try:
            if not self._freed:
                background.tell(end)
                background.join(end, timeout)
            if not self._freed:
                self._end(background, end)
        finally:
            stopping.release()
        if self._drained is None:
            # The thread had ended by itself, and close() was called before this.
            raise background.error or RuntimeError("Manager has been freed, by close()")
        return self._drained

    def close(self, grace: float = 2.0) -> None:
        """Ends everything: each connection is told `MG_EV_CLOSE`, listeners are closed, timers
        never fire again, and the manager is of no further use. A second call does nothing.

        What is in flight is drained first, as by `drain`, for `grace` seconds at most; with 0, or
        with nothing open, it is over at once, the newest connection first. What a signal's handler
        raises cuts that short, and leaves when all is closed.

        RuntimeError while another thread polls, in a handler, and while the thread of `start`
        polls.
        """
        self._no_thread("close")
        here = get_ident()
        if self._closed_by == here:
            # In a handler of the drain below, or of a signal that came meanwhile.
            return super().close()
        # Several threads may close it: one does, and the others return when that is done. It is
        # reentrant for a signal whose handler closes it, too, before or behind what is told apart
        # above.
        closing = self.__dict__.setdefault("_closing", RLock())
        if not closing.acquire(timeout=min(max(grace, 0) + 1, 1e6)):
            # Two that close each other's manager in handlers would wait for each other for ever.
            return super().close()
        try:
            self._closed_by = here
            try:
                self._close(grace)
            finally:
                self._closed_by = None
        finally:
            closing.release()
        return None

    def _close(self, grace: float) -> None:
        try:
            if grace > 0 and not self._freed and self.connections:
                self._drain(grace)
        except RuntimeError as error:
            # It is being polled, which the next call says, or another thread has closed it. What a
            # signal's handler raises comes from elsewhere.
            if not _is_ours(error.__traceback__):
                raise
        finally:
            super().close()

    def __exit__(self, *exception: object) -> None:
        if self._background is not None:
            self.stop()
        else:
            self.close()

    def _drain(self, timeout: float) -> DrainReport:
        now = monotonic()
        deadline, end = now + timeout - reserve(timeout), now + timeout
        while True:
            report = _drain_poll(self, deadline - now, end - now)
            if report is not None:
                self._drained = report
                return report
            now = monotonic()

    def _end(self, background: "Background", end: float) -> None:
        try:
            # What a handler raised has ended the thread before it was told.
            self._drained = background.report or self._drain(max(end - monotonic(), 0))
        finally:
            NativeManager.close(self)
        if background.error is not None:
            raise background.error

    def _no_thread(self, what: str) -> None:
        if self._background is not None and self._background.is_alive:
            raise RuntimeError(
                f"{what}() while the thread of start() polls this Manager: stop() it"
            )


def _is_ours(trace: "TracebackType | None") -> bool:
    """Whether that was raised by what is called here, and not by code that ran meanwhile."""
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_globals is globals()
