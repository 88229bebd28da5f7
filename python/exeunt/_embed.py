"""A lifecycle inside of a loop that somebody else runs; no process is ended here (L19)."""

import asyncio
import inspect
import logging
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, TypeVar

from ._app import App
from ._components import call
from ._current import APP, current
from ._driver import Driver
from ._lifecycle import Lifecycle, Report
from ._native import _Shields as _shields
from ._stopping import StopFailed, is_by_stop

__all__ = ["arun", "last_report", "lifespan", "remember", "spawn"]

_T = TypeVar("_T")
_log = logging.getLogger("exeunt")

_last: Report | None = None
_kept: set[asyncio.Task[Any]] = set()


def last_report() -> Report | None:
    """What happened in the last stop of this process that is over; None before."""
    return _last


def remember(report: Report) -> Report:
    """Keeps the report for `last_report`."""
    global _last
    _last = report
    _log.info("stopped: %s", report)
    return report


def spawn(
    coroutine: Coroutine[Any, Any, _T], *, name: str | None = None, essential: bool = False
) -> asyncio.Task[_T]:
    """`App.spawn` of the program that runs here. Elsewhere only a reference is kept, until the
    task is over, and its failure logged.
    """
    app = current()
    if app is not None:
        return app.spawn(coroutine, name=name, essential=essential)
    task = asyncio.get_running_loop().create_task(coroutine, name=name)
    _kept.add(task)
    task.add_done_callback(_let_go)
    return task


def _let_go(task: asyncio.Task[Any]) -> None:
    _kept.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("task %s failed", task.get_name(), exc_info=error)


async def arun(main: Callable[..., Any] | Coroutine[Any, Any, _T], **options: Any) -> Any:
    """`exeunt.run` where a loop runs already; its arguments but `loop_factory`.

    Nothing ends the process: at the hard deadline what is left is named in the log and left alone.
    Raises what main raises, and `StopFailed` if the stop did not end well.
    """
    async with lifespan(**options) as app:
        if inspect.iscoroutine(main):
            return await main
        assert callable(main)
        result = call(main, app)
        return await result if inspect.isawaitable(result) else result


class lifespan:  # noqa: N801
    """A lifecycle for a block: `async with exeunt.lifespan() as app`.

    Stop signals set `app.stop`; the block is cancelled at the drain deadline. At its end the stop
    is requested, what is in flight is awaited, components close. The arguments are those of
    `exeunt.Lifecycle`. Raises `StopFailed` if that did not end well, and the block did.
    """

    def __init__(self, **options: Any) -> None:
        self._options = options

    async def __aenter__(self) -> App:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        self._lifecycle = Lifecycle(**self._options)
        self._followed = _shields.follow(self._lifecycle)
        self._app = App(self._lifecycle, loop)
        self._app._bodies.add(task)
        self._work = self._lifecycle.work(task.get_name(), "body", scope="body")
        self._task: asyncio.Task[Any] | None = task
        self._was_cut = False
        self._driver = Driver(self._app, loop, self._cut)
        self._token = APP.set(self._app)
        return self._app

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        task, self._task = self._task, None
        assert task is not None
        APP.reset(self._token)
        cut = self._was_cut and isinstance(error, asyncio.CancelledError)
        if cut:
            self._work.cut()
            uncancel = getattr(task, "uncancel", None)  # from Python 3.11 on
            if uncancel is not None:
                uncancel()
        elif isinstance(error, Exception) and not is_by_stop(error):
            self._work.done()
            self._lifecycle.fail("body", f"{type(error).__name__}: {error}")
        else:
            self._work.done()
        self._lifecycle.request_stop("the block has ended")
        cancelled = await _through(self._driver.finished)
        self._driver.end()
        _shields.unfollow(self._followed)
        report = remember(self._lifecycle.close())
        for left in self._app._tasks.live():
            _log.error("%s did not end, and is left", left.get_name())
        if cancelled is not None:
            raise cancelled
        if not report.is_clean and (error is None or cut):
            raise StopFailed(report)
        return cut or is_by_stop(error)

    def _cut(self) -> None:
        if self._task is not None:
            self._was_cut = True
            self._task.cancel()


async def _through(future: "asyncio.Future[None]") -> asyncio.CancelledError | None:
    """Waits for it, also if it is cancelled meanwhile; what cancelled it."""
    cancelled = None
    while not future.done():
        try:
            await asyncio.wait({future})
        except asyncio.CancelledError as error:
            cancelled = error
    return cancelled
