"""Futures of jobs, and how they are settled without waiting for anybody."""

import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from ._bell import Bell

T = TypeVar("T")
_log = logging.getLogger("exeunt")


class JobFuture(Future[T]):
    """The result of a job, to come: a `concurrent.futures.Future`.

    Whether its job still waits is decided by the pool's queue, out of which it is taken once: by a
    worker, by `cancel`, or by whoever stops the pool. So a worker need not ask the future, whose
    lock an interrupted main thread may hold.
    """

    _withdraw: Callable[[], object] | None = None
    _begun = False
    _held = False

    def cancel(self) -> bool:
        """Withdraws the job if nobody has begun it; says whether it is withdrawn."""
        withdraw = self._withdraw
        if withdraw is not None and withdraw() is not None:
            cancel(self)
        return self.cancelled()

    def running(self) -> bool:
        """Whether a worker has begun the job and not ended it."""
        return self._begun and not self.done()

    def _invoke_callbacks(self) -> None:
        if not self._held:
            super()._invoke_callbacks()  # type: ignore[misc]


def cancel(future: Future[Any]) -> None:
    """Tells all who wait for the future that its job will not be done."""
    if Future.cancel(future):
        future.set_running_or_notify_cancel()


class Settler:
    """Settles futures for the threads of a pool.

    A future has a lock. The main thread may have been interrupted by a signal while it held that,
    and the signal's handler may be waiting for this very pool: so no worker waits for the lock. If
    it is free, the worker settles the future itself; if not, and for whoever stops the pool
    (perhaps in a signal handler), a thread of its own does, which nobody waits for.
    """

    def __init__(self, name: str) -> None:
        self._acts: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._over = False
        self._pid = os.getpid()
        self._thread = threading.Thread(target=self._run, name=f"{name}-futures", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def settle(self, future: JobFuture[Any], act: Callable[[], object]) -> None:
        """Does `act`, which settles `future`, here or elsewhere. Not for the main thread."""
        lock = future._condition
        if not lock.acquire(blocking=False):
            self.later(act)
            return
        if future._waiters:
            # Of `concurrent.futures.wait` and `as_completed`: they have locks, too.
            lock.release()
            self.later(act)
            return
        # Whoever is called back may do anything, and must not find the lock taken: they are called
        # behind it.
        future._held = True
        try:
            guarded(act)
        finally:
            future._held = False
            lock.release()
        guarded(future._invoke_callbacks)

    def later(self, act: Callable[[], object]) -> None:
        """Has `act` done by the thread. May be called in a signal handler."""
        self._acts.put(act)
        if self._over:
            self._do_all()

    def flush(self, timeout: float) -> None:
        """Waits until what was put before is done, for `timeout` seconds at most."""
        done, bell = [], Bell()

        def mark() -> None:
            done.append(True)
            bell.ring()

        if threading.current_thread() is not self._thread:
            self.later(mark)
            bell.wait_for(lambda: bool(done), timeout)

    def end(self) -> None:
        """Ends the thread when it has done what was put before."""
        self._acts.put(None)

    def _run(self) -> None:
        for act in iter(self._acts.get, None):
            guarded(act)
        self._over = True
        self._do_all()

    def _do_all(self) -> None:
        while True:
            try:
                act = self._acts.get_nowait()
            except Empty:
                return
            if act is not None:
                guarded(act)


def guarded(act: Callable[[], object]) -> None:
    """Calls `act`; what it raises is told in the log, and ends no thread of ours."""
    try:
        act()
    except BaseException:
        _log.exception("exeunt: a future could not be settled")
