"""Jobs, and what a stop says of them."""

import inspect
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import BuiltinFunctionType
from typing import TYPE_CHECKING, Any

from ._futures import JobFuture

if TYPE_CHECKING:
    from ._lifecycle import Work


class PoolStopped(RuntimeError):  # noqa: N818 - it says what happened
    """The pool takes no more jobs: it stops, has stopped, or belongs to the process that this one
    was forked from.
    """


@dataclass(frozen=True)
class Job:
    """A job that was not begun, handed back to its owner."""

    name: str
    fn: Callable[..., Any] | str = field(repr=False)
    """What was to be called; in a pool of processes perhaps the name of a method."""
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RunningJob:
    """A job that had been begun and was not over when the stop's time was."""

    name: str
    args: tuple[Any, ...]
    age: float
    """Seconds since it was begun."""
    worker: str
    """The name of its thread or process."""
    where: str
    """What its thread was doing, as `file:line in function`; empty if that is not known."""


@dataclass(frozen=True)
class ThreadPoolReport:
    """What became of the jobs when a pool was stopped."""

    finished: int
    """How many were finished after the stop was asked for."""
    handed_back: tuple[Job, ...]
    """What was not begun, in the order in which it was submitted."""
    still_running: tuple[RunningJob, ...]
    """What was not over in time; threads cannot be ended from outside."""
    queued: int = 0
    """How many a worker will still begin: not 0 only if the stop was asked for by a job that they
    wait for.
    """

    @property
    def clean(self) -> bool:
        """Whether every job was finished."""
        return not (self.handed_back or self.still_running or self.queued)


class Task:
    """A job in the pool: what is called, its future, and since when it runs."""

    __slots__ = ("args", "began", "fn", "future", "kwargs", "name", "number", "work")

    def __init__(
        self,
        number: int,
        name: str,
        fn: Callable[..., Any] | str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        self.number = number
        self.name = name
        self.fn = fn
        self.args = args
        self.kwargs = kwargs
        self.future: JobFuture[Any] = JobFuture()
        self.began = 0.0
        self.work: Work | None = None
        """As which a lifecycle counts it."""

    def over(self, *, cut: bool = False) -> None:
        """Counts it no more."""
        work, self.work = self.work, None
        if work is not None:
            work.cut() if cut else work.done()

    def handed_back(self) -> Job:
        return Job(self.name, self.fn, self.args, self.kwargs)

    def running(self, worker: str, where: str) -> RunningJob:
        return RunningJob(self.name, self.args, time.monotonic() - self.began, worker, where)


def name_of(fn: Callable[..., Any] | str) -> str:
    """How a job is called that nobody gave a name."""
    if isinstance(fn, str):
        return fn
    inner: Any = fn
    while hasattr(inner, "func"):  # functools.partial
        inner = inner.func
    name = getattr(inner, "__qualname__", None) or type(inner).__qualname__
    return f"{getattr(inner, '__module__', None) or type(inner).__module__}.{name}"


def check_callable(fn: Any) -> None:
    if not callable(fn):
        raise TypeError(f"a job is something to call, and {fn!r} is not")
    code = getattr(fn, "__code__", None)
    if inspect.iscoroutinefunction(fn) if code is None else code.co_flags & inspect.CO_COROUTINE:
        raise TypeError(
            f"{name_of(fn)} is a coroutine function: a pool's workers call plain functions; "
            "run it as a task of asyncio"
        )


def wants_stop(fn: Callable[..., Any], args: tuple[Any, ...]) -> bool:
    """Whether `fn` has a parameter named `stop` that `args` leave open."""
    if isinstance(fn, BuiltinFunctionType):
        return False
    code = getattr(getattr(fn, "__func__", fn), "__code__", None)
    if code is not None and "stop" not in code.co_varnames and not hasattr(fn, "__wrapped__"):
        return False  # the usual case, and much faster than a signature
    if isinstance(fn, partial) and "stop" in fn.keywords:
        return False
    try:
        parameters = inspect.signature(fn).parameters
    except (ValueError, TypeError):  # of what is written in C
        return False
    stop = parameters.get("stop")
    if stop is None or stop.kind in (stop.POSITIONAL_ONLY, stop.VAR_POSITIONAL, stop.VAR_KEYWORD):
        return False
    if stop.default not in (stop.empty, None):
        return False  # `def crunch(start=0, stop=100)` means another stop
    return stop.kind is stop.KEYWORD_ONLY or list(parameters).index("stop") >= len(args)


def attempt(fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[bool, Any]:
    """Whether a job returns, and what it returns or raises."""
    try:
        return True, fn(*args, **kwargs)
    except BaseException as error:
        return False, error


def where_is(ident: int | None) -> str:
    """What the thread `ident` is doing."""
    frame = sys._current_frames().get(ident) if ident is not None else None
    if frame is None:
        return ""
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
