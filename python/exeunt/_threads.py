"""A pool of threads that stops without a free worker."""

import itertools
import logging
import math
import os
import threading
import time
import weakref
from _thread import get_ident
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from . import _exits
from ._attached import Attachment
from ._bell import Bell, StopEvent
from ._blocks import StoppedByBlock
from ._futures import Settler, cancel
from ._jobs import (
    PoolStopped,
    RunningJob,
    Task,
    ThreadPoolReport,
    attempt,
    check_callable,
    name_of,
    wants_stop,
    where_is,
)

if TYPE_CHECKING:
    from ._app import App
    from ._lifecycle import Lifecycle

T = TypeVar("T")
_log = logging.getLogger("exeunt")
_numbers = itertools.count(1)


class ThreadPool(StoppedByBlock, Executor):
    """A number of threads that do jobs, in the order in which they were submitted.

    It is a `concurrent.futures.Executor`, and stops in a way that loses nothing: what was accepted
    is finished, or handed back to its owner, by name. `stop` needs no free worker, and may be
    called in a signal handler, in a job, more than once, and by several threads at once. A job that
    has a parameter named `stop` is given the pool's `stop_event` there, by which it is told.

    The threads do not keep the process from ending: at its end a pool that nobody has stopped is
    stopped, with its `stop_timeout`, and what has not returned then is named in the log
    (`logging.getLogger("exeunt")`) and left.

    As a context manager it finishes all jobs at the end of the block, however long that takes; if
    the block is left by an exception, what is not begun is handed back, and what runs has
    `stop_timeout`. The report is in `report`.
    """

    def __init__(
        self,
        workers: int = 4,
        *,
        name: str | None = None,
        stop_timeout: float = 20.0,
        job_name: Callable[..., str] | None = None,
        lifecycle: "Lifecycle | App | None" = None,
        hand_back: bool = False,
    ) -> None:
        """Starts the threads.

        `workers` threads are called `name-1`, `name-2`, …. `stop_timeout` is how many seconds a
        stop waits unless it is told otherwise. `job_name(fn, *args, **kwargs)` says what a job is
        called in reports; by default it is the function's name.

        With a `lifecycle`, or the app of `exeunt.run`, each job is counted as its work, and the
        pool stops when that drains: it finishes its queue, or hands it back (`hand_back`); what the
        drain deadline finds in the queue is handed back and reported as cut.

        Raises RuntimeError if the system has no room for the threads.
        """
        if workers < 1:
            raise ValueError(f"a pool needs a worker at least, and workers={workers}")
        if not stop_timeout >= 0:
            raise ValueError(f"stop_timeout is a time in seconds, 0 or more, not {stop_timeout}")
        name = f"pool-{next(_numbers)}" if name is None else name
        attached = None if lifecycle is None else Attachment(lifecycle, "job", hand_back=hand_back)
        self._core = _Core(name, workers, stop_timeout, attached)
        self._job_name = job_name
        try:
            self._core.start()
        except BaseException:
            self._core.ask(drain=False)
            raise
        # Whoever lets go of a pool has accepted jobs all the same: they are finished.
        weakref.finalize(self, self._core.ask, drain=True).atexit = False

    @property
    def name(self) -> str:
        """What its threads are called after."""
        return self._core.name

    @property
    def stop_event(self) -> StopEvent:
        """Is set when the pool is asked to stop."""
        return self._core.stop_event

    @property
    def report(self) -> ThreadPoolReport | None:
        """What the last `stop` has found, or None."""
        return self._core.report

    def start(self) -> None:
        """Does nothing: the threads run since the pool was made. For those who start and stop all
        they have.
        """

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Has a worker call `fn(*args, **kwargs)`; gives a future for what it returns or raises.

        Raises PoolStopped if the pool is asked to stop, and TypeError for what cannot be called.
        """
        check_callable(fn)
        job_name = name_of(fn) if self._job_name is None else self._job_name(fn, *args, **kwargs)
        return self._core.submit(job_name, fn, args, kwargs)

    def request_stop(self, *, drain: bool = True) -> None:
        """Asks the pool to stop, as `stop` does, and does not wait."""
        self._core.ask(drain=drain)

    def stop(self, timeout: float | None = None, *, drain: bool = True) -> ThreadPoolReport:
        """Stops the pool, and says what became of its jobs.

        No more jobs are taken, and those that run are told (`stop_event`). With `drain` what is in
        the queue is finished; without, it is handed back: its futures are cancelled, and the report
        has it. `timeout` is how many seconds there are for that (the pool's `stop_timeout` if None,
        no limit if `math.inf`); then the rest of the queue is handed back, and the report names
        what still runs. A job that calls this is not waited for, nor named.

        Never waits for a worker to be free, nor for a lock: it may be called in a signal handler
        and in a job. Called again, it says how things are by then.
        """
        core = self._core
        core.ask(drain=drain)
        core.wait(timeout)
        return core.settle_up()

    async def astop(self, timeout: float | None = None, *, drain: bool = True) -> ThreadPoolReport:
        """Like `stop`, for a task of asyncio: its loop goes on meanwhile."""
        core = self._core
        core.ask(drain=drain)
        await core.bell.await_for(core.is_over, core.limit(timeout))
        return core.settle_up()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """`stop` by the name and the meaning that it has in `concurrent.futures.Executor`: without
        limit, or without waiting.
        """
        if wait:
            self.stop(math.inf, drain=not cancel_futures)
        else:
            self.request_stop(drain=not cancel_futures)

    def __enter__(self) -> "ThreadPool":
        return self

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._core.name!r}: {self._core.state()}>"


class _Worker:
    """A thread of the pool. Only it writes what is here; others read."""

    __slots__ = ("ended", "finished", "task", "thread")

    def __init__(self, core: "_Core", number: int) -> None:
        self.task: Task | None = None
        self.finished = 0
        self.ended = False
        self.thread = threading.Thread(
            target=core.work, args=(self,), name=f"{core.name}-{number}", daemon=True
        )


class _Core:
    """What the threads of a pool know of it; the pool itself may be let go of.

    - A job is in `pending` from before it is in `queue`, and is taken out of `pending` once: by a
      worker, who does it, by who cancels it, or by who hands it back. What comes out of `queue` and
      is not there has been taken.
    - Whoever submits publishes the job and then looks at `stopping`; whoever stops sets that and
      then looks at `pending`.
    - Behind `stopping` there is a poison pill in `queue` for each worker, and so behind all that
      was accepted.
    """

    def __init__(
        self, name: str, workers: int, stop_timeout: float, attached: Attachment | None
    ) -> None:
        self.name = name
        self._attached = attached
        self.stop_timeout = stop_timeout
        self.stop_event = StopEvent()
        self.bell = Bell()
        self.report: ThreadPoolReport | None = None
        self.pid = os.getpid()
        self._stopping = False
        self._finished_before = 0
        self._handed_back: dict[int, Task] = {}
        self._stopping_jobs: dict[int, int] = {}
        self._pending: dict[int, Task] = {}
        self._queue: SimpleQueue[Task | None] = SimpleQueue()
        self._numbers = itertools.count()
        self.settler = Settler(name)
        self._workers = [_Worker(self, number) for number in range(1, workers + 1)]
        self._unended = {"unended": True}
        self._unstarted = dict.fromkeys(range(workers))

    def start(self) -> None:
        _exits.register(self)
        self.settler.start()
        for index, worker in enumerate(self._workers):
            worker.thread.start()
            del self._unstarted[index]
        if self._attached is not None:
            self._attached.follow(self)

    def submit(
        self, name: str, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Future[Any]:
        self._check_open()
        if "stop" not in kwargs and wants_stop(fn, args):
            kwargs["stop"] = self.stop_event
        number = next(self._numbers)
        task = Task(number, name, fn, args, kwargs)
        task.future._withdraw = partial(self._withdraw, number)
        if self._attached is not None:
            task.work = self._attached.work(name, self.name)
        self._pending[number] = task
        self._queue.put(task)
        if self._stopping and self._withdraw(number) is not None:
            self._check_open()
        return task.future

    def _check_open(self) -> None:
        if self.pid != os.getpid():
            raise PoolStopped(
                f"{self.name} belongs to process {self.pid}, of which this one is a fork: "
                "make a pool of its own here"
            )
        if self._stopping:
            raise PoolStopped(f"{self.name} is stopped, and takes no more jobs")

    def ask(self, *, drain: bool, timeout: float = math.inf) -> None:
        """Asks for the stop; waits for nothing and nobody. The time is for who waits."""
        if self.pid != os.getpid():
            return
        if not self._stopping:
            self._finished_before = self._finished()
            self._stopping = True
        self.stop_event.set()
        if not drain:
            self._hand_back()
        for index in list(self._unstarted):
            # A thread that the system had no room for.
            self._workers[index].ended = True
        for _ in self._workers:
            self._queue.put(None)
        if self.is_over():
            self._end()

    def wait(self, timeout: float | None) -> None:
        """Waits until no worker is left but those whose jobs wait for this themselves."""
        if self.pid != os.getpid():
            return
        me = get_ident()
        worker = next((each for each in self._workers if each.thread.ident == me), None)
        if worker is not None:
            self._stopping_jobs[me] = self._stopping_jobs.get(me, 0) + 1
            self.bell.ring()
        try:
            self.bell.wait_for(self.is_over, self.limit(timeout))
        finally:
            if worker is not None:
                self._stopping_jobs[me] -= 1

    def limit(self, timeout: float | None) -> float | None:
        timeout = self.stop_timeout if timeout is None else timeout
        return None if timeout == math.inf else timeout

    def is_over(self) -> bool:
        return all(each.ended or self._calls_stop(each) for each in self._workers)

    def _calls_stop(self, worker: _Worker) -> bool:
        return self._stopping_jobs.get(worker.thread.ident or 0, 0) > 0

    def settle_up(self, *, cut: bool = False) -> ThreadPoolReport:
        """Hands back what is left, as cut or not, and says what became of all."""
        if self.pid != os.getpid():
            return ThreadPoolReport(0, (), ())
        me = get_ident()
        left = [each for each in self._workers if not each.ended]
        # With workers left only in jobs that wait for the stop, what is queued is done behind
        # those.
        if any(not self._calls_stop(each) and each.thread.ident != me for each in left):
            self._hand_back(cut=cut)
        running = tuple(self._running(me))
        handed_back = tuple(task.handed_back() for _, task in sorted(self._handed_back.items()))
        report = ThreadPoolReport(
            self._finished() - self._finished_before,
            handed_back,
            running,
            len(self._pending) if left else 0,
        )
        self.report = report
        self.settler.flush(1.0)
        if running:
            self.settler.later(partial(_tell, self.name, running))
        return report

    def _running(self, me: int) -> list[RunningJob]:
        running = []
        for worker in self._workers:
            task, ident = worker.task, worker.thread.ident
            if task is not None and ident != me and not worker.ended:
                running.append(task.running(worker.thread.name, where_is(ident)))
        return running

    def _finished(self) -> int:
        return sum(worker.finished for worker in self._workers)

    def _withdraw(self, number: int) -> Task | None:
        task = self._pending.pop(number, None)
        if task is not None:
            task.over()
        return task

    def _hand_back(self, *, cut: bool = False) -> None:
        for number in sorted(self._pending):
            task = self._pending.pop(number, None)
            if task is not None:
                self._handed_back[number] = task
                task.over(cut=cut)
                self.settler.later(partial(cancel, task.future))

    def state(self) -> str:
        if not self._stopping:
            return f"{len(self._workers)} workers, {len(self._pending)} jobs queued"
        return "stopped" if self.is_over() else "stopping"

    def work(self, worker: _Worker) -> None:
        """What a thread of the pool does."""
        try:
            for task in iter(self._queue.get, None):
                if self._pending.pop(task.number, None) is not None:
                    self._do(worker, task)
                del task
        finally:
            worker.ended = True
            if all(each.ended for each in self._workers):
                self._end()
            self.bell.ring()

    def _do(self, worker: _Worker, task: Task) -> None:
        future = task.future
        future._begun = True
        future._withdraw = None
        task.began = time.monotonic()
        worker.task = task
        ended_well, outcome = attempt(task.fn, task.args, task.kwargs)
        if self.pid != os.getpid():
            # A fork that came back from the job: what is here is the parent's, and nobody would
            # ever stop it.
            raise SystemExit
        if ended_well:
            self.settler.settle(future, partial(future.set_result, outcome))
        else:
            self.settler.settle(future, partial(future.set_exception, outcome))
        del outcome, future
        worker.finished += 1
        worker.task = None
        task.over()
        # The traceback of what was raised knows this frame: a cycle.
        del task

    def _end(self) -> None:
        if not self._unended.pop("unended", None):
            return
        if self._handed_back:
            text = "%s: handed back %d jobs"
            self.settler.later(partial(_log.info, text, self.name, len(self._handed_back)))
        self.settler.end()
        if self._attached is not None:
            self._attached.end()
        _exits.forget(self)


def _tell(name: str, running: tuple[RunningJob, ...]) -> None:
    for job in running:
        _log.warning(
            "%s: %s did not end in time: %s has been in it for %.1f s, at %s",
            name,
            job.name,
            job.worker,
            job.age,
            job.where or "an unknown place",
        )
