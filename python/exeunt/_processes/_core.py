"""What the threads of a pool of processes share. The pool itself may be let go of."""

import itertools
import logging
import math
import os
import time
from _thread import get_ident
from collections import deque
from collections.abc import Callable
from functools import partial
from multiprocessing.reduction import ForkingPickler
from typing import Any, Literal

from .. import _exits
from .._attached import Attachment
from .._bell import Bell
from .._futures import JobFuture, Settler, cancel
from .._jobs import PoolStopped, RunningJob, Task
from ._errors import PoolBroken
from ._launch import Launcher, Plan
from ._report import ProcessPoolReport
from ._slot import Slot
from ._updates import Updates

# Before multiprocessing waits for its children, which ours are, too, where they are forked.
_exits.stop_first()

_log = logging.getLogger("exeunt")
_LAST_WORD = 1.0
"""Seconds between the call to leave and SIGKILL; a fifth of the stop's time, if that is less."""
_MARGIN = 3.0
"""Seconds by which the end of killed processes may be noticed late."""


class Call(Task):
    """A call in the pool, pickled."""

    __slots__ = ("payload",)

    def __init__(
        self, number: int, name: str, method: Any, args: tuple[Any, ...], kwargs: Any
    ) -> None:
        super().__init__(number, name, method, args, kwargs)
        self.payload = pickled(name, method, args, kwargs)


def pickled(name: str, method: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
    """A call as it is sent to a worker."""
    try:
        return bytes(ForkingPickler.dumps((method, args, kwargs)))
    except Exception as error:
        raise TypeError(
            f"{name} cannot be sent to a worker process: "
            f"it, or one of its arguments, cannot be pickled: {error}"
        ) from error


class Core:
    """The calls of a pool, its workers' places, and its stop.

    As with threads: a call is in `_pending` from before it is in `_queue`, and is taken out of
    `_pending` once. Who submits publishes the call and then looks at `stopping`; who stops sets
    that, and then looks at `_pending`. A slot says that it is idle, and then looks at the queue;
    who submits puts the call there, and then looks for who is idle.
    """

    def __init__(
        self,
        name: str,
        workers: int,
        plan: Plan,
        launcher: Launcher,
        *,
        stop_timeout: float,
        call_limit: float | None,
        max_restarts: int,
        keep_updates: Literal["last", "all"],
        attached: Attachment | None,
    ) -> None:
        self.name = name
        self.plan = plan
        self._attached = attached
        self.launcher = launcher
        self.stop_timeout = stop_timeout
        self.call_limit = call_limit
        self.max_restarts = max_restarts
        self.pid = os.getpid()
        self.bell = Bell()
        self.settler = Settler(name)
        self.updates = Updates(keep_updates, self.settler)
        self.started = False
        self.stopping = False
        self.terminate_at: float | None = None
        self.kill_at: float | None = None
        self.cuts: dict[int, RunningJob] = {}
        self.report: ProcessPoolReport | None = None
        self._finished_before = 0
        self._handed_back: dict[int, Task] = {}
        self._numbers = itertools.count(1)
        self._pending: dict[int, Call] = {}
        self._queue: deque[Call] = deque()
        self._idle: dict[int, Slot] = {}
        self._waiting: dict[int, int] = {}
        self.slots = [Slot(self, index) for index in range(1, workers + 1)]
        self._unended = {"unended": True}
        self._over = False
        self._unstarted = {id(slot): slot for slot in self.slots}

    def start(self) -> None:
        """Starts all workers, and waits until they are ready. Raises what kept the first that is
        not.
        """
        _exits.register(self)
        self.settler.start()
        for slot in self.slots:
            slot.thread.start()
            self._unstarted.pop(id(slot), None)

    def is_started(self) -> bool:
        """Whether there is no more to wait for in a start."""
        return self.stopping or any(s.ended for s in self.slots) or all(s.ready for s in self.slots)

    def settle_start(self) -> None:
        """Raises what has kept a worker from being ready; from now on, who dies is replaced."""
        self._check_ready()
        self.started = True
        # Whoever has died in between has left its place for good.
        self._check_ready()
        self._check_open()
        if self._attached is not None:
            self._attached.follow(self)

    def _check_ready(self) -> None:
        for slot in self.slots:
            if slot.ended and slot.error is not None:
                raise slot.error

    def _check_open(self) -> None:
        if self.pid != os.getpid():
            raise PoolStopped(
                f"{self.name} belongs to process {self.pid}, of which this one is a fork: "
                "make a pool of its own here"
            )
        # Looked at before the wish that may be why: a signal handler may stop the pool in between.
        ended = self._all_ended()
        if self.stopping:
            raise PoolStopped(f"{self.name} is stopped, and takes no more calls")
        if not self.started:
            raise PoolStopped(
                f"{self.name} has not been started: use it in a `with` block, or call `start()`"
            )
        if ended:
            raise self._broken()

    def _broken(self) -> PoolBroken:
        errors = "; ".join(f"{slot.name}: {slot.error}" for slot in self.slots)
        return PoolBroken(f"every worker of {self.name} was given up. {errors}")

    # Calls.

    def submit(
        self, name: str, method: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> JobFuture[Any]:
        self._check_open()
        call = Call(next(self._numbers), name, method, args, kwargs)
        call.future._withdraw = partial(self._withdraw, call.number)
        if self._attached is not None:
            call.work = self._attached.work(name, self.name)
        self._pending[call.number] = call
        self._queue.append(call)
        self.poke()
        closed = self.stopping or self._all_ended()
        if closed and self._withdraw(call.number) is not None:
            self._check_open()
        return call.future

    def update(self, payload: bytes) -> JobFuture[None]:
        self._check_open()
        update = self.updates.publish(payload, self.slots)
        for slot in self.slots:
            if slot.ended:
                update.done(slot)
            else:
                slot.wake.ring()
        return update.future

    def poke(self) -> None:
        """Wakes one that is idle, if there is work."""
        if self._queue:
            try:
                _, slot = self._idle.popitem()
            except KeyError:
                return
            slot.wake.ring()

    def take(self, slot: Slot) -> Call | None:
        """The next call, or None: then the slot is woken when there is one."""
        for _ in range(2):
            while self._queue:
                try:
                    call = self._queue.popleft()
                except IndexError:
                    break
                if self._pending.pop(call.number, None) is not None:
                    self._idle.pop(id(slot), None)
                    return call
            self._idle[id(slot)] = slot
        return None

    # The end.

    def ask(self, *, drain: bool, timeout: float) -> None:
        """Asks for the stop; waits for nothing and nobody."""
        if self.pid != os.getpid():
            return
        if not self.stopping:
            self._finished_before = self._finished()
            self.stopping = True
        if timeout != math.inf:
            at = time.monotonic() + timeout
            if self.kill_at is None or at < self.kill_at:
                self.terminate_at = at - min(_LAST_WORD, timeout / 5)
                self.kill_at = at
        if not drain:
            self._hand_back()
        for slot in list(self._unstarted.values()):
            slot.ended = True
        for slot in self.slots:
            slot.wake.ring()
        if self._all_ended():
            self._end()

    def _all_ended(self) -> bool:
        return all(slot.ended for slot in self.slots)

    def is_over(self) -> bool:
        return self._over

    def wait(self, timeout: float | None) -> None:
        """Waits until all workers have ended."""
        if self.pid != os.getpid():
            return
        me = get_ident()
        if not any(slot.thread.ident == me for slot in self.slots):
            self.bell.wait_for(self.is_over, self.limit(timeout))
            return
        # Whom a future has called back: the thread of that worker, which cannot wait for itself.
        self._waiting[me] = self._waiting.get(me, 0) + 1
        self.bell.ring()
        try:
            self.bell.wait_for(self._only_callers_left, self.limit(timeout))
        finally:
            self._waiting[me] -= 1

    def _only_callers_left(self) -> bool:
        return self._over or all(
            slot.ended or self._waiting.get(slot.thread.ident or 0, 0) > 0 for slot in self.slots
        )

    def limit(self, timeout: float | None) -> float | None:
        timeout = self.stop_timeout if timeout is None else timeout
        return None if timeout == math.inf else timeout + _MARGIN

    def settle_up(self, *, cut: bool = False) -> ProcessPoolReport:
        """Says what has become of all; what is left in the queue is handed back, as cut or not."""
        if self.pid != os.getpid():
            return ProcessPoolReport(0, (), (), (), 0)
        handed_back = tuple(task.handed_back() for _, task in sorted(self._handed_back.items()))
        report = ProcessPoolReport(
            self._finished() - self._finished_before,
            handed_back,
            tuple(cut for _, cut in sorted(self.cuts.items())),
            tuple(slot.end for slot in self.slots if slot.end is not None),
            sum(slot.replaced for slot in self.slots),
            sum(not slot.ended for slot in self.slots),
        )
        self.report = report
        self.settler.flush(1.0)
        return report

    def slot_ready(self) -> None:
        self.bell.ring()

    def slot_ended(self, slot: Slot) -> None:
        self._idle.pop(id(slot), None)
        self.updates.leave(slot)
        self.poke()
        if self._all_ended():
            self._end()
        self.bell.ring()

    def _end(self) -> None:
        if not self._unended.pop("unended", None):
            return
        if self.stopping:
            late = self.terminate_at
            self._hand_back(cut=late is not None and time.monotonic() >= late)
            if self._handed_back:
                self.log(_log.info, "%s: handed back %d calls", self.name, len(self._handed_back))
        else:
            for number in sorted(self._pending):
                call = self._pending.pop(number, None)
                if call is not None:
                    call.over()
                    self.settler.later(partial(call.future.set_exception, self._broken()))
        self.launcher.close()
        self.settler.end()
        if self._attached is not None:
            self._attached.end()
        _exits.forget(self)
        self._over = True

    def _withdraw(self, number: int) -> Call | None:
        call = self._pending.pop(number, None)
        if call is not None:
            call.over()
        return call

    def _hand_back(self, *, cut: bool = False) -> None:
        for number in sorted(self._pending):
            call = self._pending.pop(number, None)
            if call is not None:
                self._handed_back[number] = call
                call.over(cut=cut)
                self.settler.later(partial(cancel, call.future))

    def _finished(self) -> int:
        return sum(slot.finished for slot in self.slots)

    def log(self, how: Callable[..., object], *words: object) -> None:
        """Has it told by a thread that nobody waits for: `logging` has locks."""
        self.settler.later(partial(how, *words))
