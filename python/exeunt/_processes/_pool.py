"""A pool of worker processes."""

import asyncio
import itertools
import math
import multiprocessing
import signal
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from multiprocessing.reduction import ForkingPickler
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from .._attached import Attachment
from .._blocks import StoppedByBlock
from .._jobs import PoolStopped, check_callable, name_of
from . import _worker
from ._core import Core, pickled
from ._launch import ForkLauncher, Launcher, Plan, SpawnLauncher, preparation
from ._report import ProcessPoolReport
from ._template import TemplateLauncher

if TYPE_CHECKING:
    from .._app import App
    from .._lifecycle import Lifecycle

T = TypeVar("T")
_numbers = itertools.count(1)
_METHODS = ("fork", "forkserver", "spawn")


class ProcessPool(StoppedByBlock, Executor):
    """A number of worker processes, each with an object of its own whose methods the pool calls.

    Each worker makes its object by `target(*args, **kwargs)`, and calls its `start`, if it has one;
    it calls its `stop` at the end. `submit`, `call` and `map` have one worker call a method, by its
    name, or a function; `update` has every worker call its method `update`, also those that come
    later.

    Ctrl-C, SIGTERM and SIGHUP to the workers end nothing: what a signal means is for this process
    to decide, which tells them. A worker that dies is replaced, and the call that it did fails with
    `WorkerDied`. When this process dies, however it does, the workers die with it.

    The pool is started by `start()`, or by `with`, and then all of its workers are ready, or none
    is left. As a context manager it finishes all calls at the end of the block, however long that
    takes; if the block is left by an exception, what is not begun is handed back, and what runs has
    `stop_timeout`. The report is in `report`. A pool that nobody stops is stopped at the end of the
    process.
    """

    def __init__(
        self,
        target: Callable[..., Any] | None = None,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        *,
        workers: int = 4,
        name: str | None = None,
        start_method: Literal["fork", "forkserver", "spawn"] | None = None,
        bootstrap_timeout: float = 5.0,
        ready_timeout: float = 60.0,
        stop_timeout: float = 20.0,
        call_limit: float | None = None,
        max_restarts: int = 5,
        keep_updates: Literal["last", "all"] = "last",
        lifecycle: "Lifecycle | App | None" = None,
        hand_back: bool = False,
    ) -> None:
        """Starts nothing yet.

        `target` is a class, or another callable, that gives a worker its object; without one, the
        workers call functions alone. `start_method` is one of multiprocessing's; by default the one
        that the program has chosen (`multiprocessing.set_start_method`), or `"spawn"`. Times are in
        seconds: a process has `bootstrap_timeout` to come to life, `ready_timeout` to import the
        program and to make and start its object; `stop_timeout` is what a stop has unless it is
        told otherwise; a call that takes longer than `call_limit` costs its worker its life, and
        fails with `CallTimedOut`. A worker that dies more than `max_restarts` times in a row, each
        time within 10 s, is given up. `keep_updates` says whether a new worker does the last update
        alone, or all that there were.

        With a `lifecycle`, or the app of `exeunt.run`, each call is counted as its work, and the
        pool stops when that drains: it finishes its queue, or hands it back (`hand_back`), and what
        the drain deadline finds is cut.
        """
        if workers < 1:
            raise ValueError(f"a pool needs a worker at least, and workers={workers}")
        for what, seconds in (
            ("bootstrap_timeout", bootstrap_timeout),
            ("ready_timeout", ready_timeout),
            ("stop_timeout", stop_timeout),
            ("call_limit", call_limit),
        ):
            if seconds is not None and not seconds >= 0:
                raise ValueError(f"{what} is a time in seconds, 0 or more, not {seconds}")
        if target is not None:
            check_callable(target)
        method = start_method or multiprocessing.get_start_method(allow_none=True) or "spawn"
        if method not in _METHODS:
            raise ValueError(f"start_method is one of {', '.join(_METHODS)}, not {method!r}")
        self._name = f"processes-{next(_numbers)}" if name is None else name
        self._method = method
        self._target = (target, args, kwargs or {})
        self._workers = workers
        self._bootstrap_timeout = bootstrap_timeout
        self._ready_timeout = ready_timeout
        self._settings: dict[str, Any] = {
            "stop_timeout": stop_timeout,
            "call_limit": call_limit,
            "max_restarts": max_restarts,
            "keep_updates": keep_updates,
        }
        self._part = (lifecycle, hand_back)
        self._core: Core | None = None

    @property
    def name(self) -> str:
        """What its workers are called after: `name-1`, `name-2`, …"""
        return self._name

    @property
    def report(self) -> ProcessPoolReport | None:
        """What the last `stop` has found, or None."""
        return None if self._core is None else self._core.report

    @property
    def pids(self) -> tuple[int, ...]:
        """The process ids of the workers that are ready."""
        slots = () if self._core is None else self._core.slots
        return tuple(slot.pid for slot in slots if slot.ready)

    # Starting and stopping.

    def start(self) -> None:
        """Starts the workers, and returns when all are ready.

        Raises WorkerStartError, with the worker's traceback and what it has said, if one does not
        become ready; then all others are stopped. Raises PoolStopped if the pool is stopped
        meanwhile. A pool that is started already stays as it is; one that has stopped can be
        started again.
        """
        core = self._begin()
        if core is None:
            return
        try:
            core.bell.wait_for(core.is_started)
            core.settle_start()
        except BaseException:
            core.ask(drain=False, timeout=core.stop_timeout)
            core.wait(None)
            raise

    async def astart(self) -> None:
        """Like `start`, for a task of asyncio."""
        core = self._begin()
        if core is None:
            return
        try:
            await core.bell.await_for(core.is_started)
            core.settle_start()
        except BaseException:
            core.ask(drain=False, timeout=core.stop_timeout)
            await core.bell.await_for(core.is_over, core.limit(None))
            raise

    def _begin(self) -> Core | None:
        if _worker.importing_main():
            raise RuntimeError(_worker.IMPORTING_TWICE)
        if self._core is not None and not self._core.is_over():
            return None
        factory, args, kwargs = self._target
        forked = self._method == "fork"
        plan = Plan(
            target=lambda: None if factory is None else factory(*args, **kwargs),
            payload=b"" if forked else _pickled_target(self._target),
            preparation=None if forked else preparation(self._name),
            bootstrap_timeout=self._bootstrap_timeout,
            ready_timeout=self._ready_timeout,
            mask=[int(each) for each in signal.pthread_sigmask(signal.SIG_BLOCK, ())],
        )
        launcher: Launcher
        if forked:
            launcher = ForkLauncher(plan)
        elif self._method == "spawn":
            launcher = SpawnLauncher(plan)
        else:
            launcher = TemplateLauncher(plan, self._name)
        lifecycle, hand_back = self._part
        attached = None if lifecycle is None else Attachment(lifecycle, "call", hand_back=hand_back)
        core = Core(self._name, self._workers, plan, launcher, attached=attached, **self._settings)
        self._core = core
        # Whoever lets go of a pool has accepted calls all the same: they are finished.
        weakref.finalize(self, core.ask, drain=True, timeout=math.inf).atexit = False
        try:
            core.start()
        except BaseException:
            core.ask(drain=False, timeout=core.stop_timeout)
            raise
        return core

    def request_stop(self, timeout: float | None = None, *, drain: bool = True) -> None:
        """Asks the pool to stop, as `stop` does, and does not wait."""
        core = self._core
        if core is not None:
            core.ask(drain=drain, timeout=core.stop_timeout if timeout is None else timeout)

    def stop(self, timeout: float | None = None, *, drain: bool = True) -> ProcessPoolReport:
        """Stops the pool and its workers, and says what became of its calls.

        No more calls are taken. With `drain` what is in the queue is finished; without, it is
        handed back: its futures are cancelled, and the report has it. Then each worker is told,
        calls its object's `stop` and ends. `timeout` is how many seconds there are for all that
        (`stop_timeout` if None, no limit if `math.inf`). In the last second of it, or its last
        fifth if that is less, what still runs is left by SystemExit in the worker, and at its end
        killed. All are reaped.

        Takes no lock, and may be called in a signal handler; called again it may shorten the time.
        """
        core = self._core
        if core is None:
            return ProcessPoolReport(0, (), (), (), 0)
        self.request_stop(timeout, drain=drain)
        core.wait(timeout)
        return core.settle_up()

    async def astop(self, timeout: float | None = None, *, drain: bool = True) -> ProcessPoolReport:
        """Like `stop`, for a task of asyncio: its loop goes on meanwhile."""
        core = self._core
        if core is None:
            return ProcessPoolReport(0, (), (), (), 0)
        self.request_stop(timeout, drain=drain)
        await core.bell.await_for(core.is_over, core.limit(timeout))
        return core.settle_up()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """`stop` by the name and with the meaning that it has in `concurrent.futures.Executor`."""
        if wait:
            self.stop(math.inf, drain=not cancel_futures)
        else:
            self.request_stop(math.inf, drain=not cancel_futures)

    def __enter__(self) -> "ProcessPool":
        self.start()
        return self

    async def __aenter__(self) -> "ProcessPool":
        await self.astart()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self.astop(math.inf if kind is None else None, drain=kind is None)
        except BaseException:
            await self.astop(drain=False)
            raise

    # Calls.

    @overload
    def submit(self, fn: str, /, *args: Any, **kwargs: Any) -> Future[Any]: ...
    @overload
    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]: ...

    def submit(self, fn: Callable[..., Any] | str, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Has one worker call its object's method `fn`, or the function `fn`; gives a future for
        the result.

        What the call raises, its future raises, with the worker's traceback as its cause; if that
        cannot be sent, a RemoteError. Raises TypeError for what cannot be sent to a worker,
        PoolStopped if the pool is not started or stops, and PoolBroken if all workers were given
        up.
        """
        if not isinstance(fn, str):
            check_callable(fn)
        return self._started().submit(name_of(fn), fn, args, kwargs)

    def call(self, fn: Callable[..., Any] | str, /, *args: Any, **kwargs: Any) -> Any:
        """`submit`, and the result. For a limit to its time see `submit(…).result(timeout)` and
        `call_limit`.
        """
        future = self.submit(fn, *args, **kwargs)
        try:
            return future.result()
        finally:
            # By Ctrl-C, say: then nobody waits for it any more.
            future.cancel()

    def map(
        self,
        fn: Callable[..., Any] | str,
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[Any]:
        """`submit` for each of what the iterables give; gives the results in the same order.

        Raises TimeoutError for a result that is not there `timeout` seconds after this call.
        `chunksize` means nothing here: each is a call of its own.
        """
        del chunksize
        more = {} if buffersize is None else {"buffersize": buffersize}  # since Python 3.14
        call: Any = fn
        return super().map(call, *iterables, timeout=timeout, **more)

    async def acall(self, fn: Callable[..., Any] | str, /, *args: Any, **kwargs: Any) -> Any:
        """`call` for a task of asyncio; if that is cancelled, a call that is not begun is
        withdrawn.
        """
        return await asyncio.wrap_future(self.submit(fn, *args, **kwargs))

    def submit_update(self, *args: Any, **kwargs: Any) -> Future[None]:
        """Has every worker call `update(*args, **kwargs)`, between two calls; the future waits for
        all.

        A worker that comes later does it before it is ready, and so may be relied on to have done
        it. What it raises the future raises, when all have tried.
        """
        return self._started().update(pickled("update", "update", args, kwargs))

    def update(self, *args: Any, **kwargs: Any) -> None:
        """`submit_update`, and waits for all workers."""
        self.submit_update(*args, **kwargs).result()

    async def aupdate(self, *args: Any, **kwargs: Any) -> None:
        """`update` for a task of asyncio."""
        await asyncio.wrap_future(self.submit_update(*args, **kwargs))

    def _started(self) -> Core:
        if self._core is None:
            raise PoolStopped(
                f"{self._name} has not been started: use it in a `with` block, or call `start()`"
            )
        return self._core

    def __repr__(self) -> str:
        ready = f"{len(self.pids)} of {self._workers} workers ready"
        return f"<{type(self).__name__} {self._name!r}: {ready}>"


def _pickled_target(target: tuple[Any, ...]) -> bytes:
    try:
        return bytes(ForkingPickler.dumps(target))
    except Exception as error:
        raise TypeError(
            f"{target[0]!r} cannot be sent to worker processes: it, or an argument, cannot "
            f"be pickled: {error} (what a module defines can be; start_method='fork' inherits all)"
        ) from error
