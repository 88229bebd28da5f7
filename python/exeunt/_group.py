"""Tasks that are told, awaited with a timeout, and then cancelled (P54)."""

import asyncio
import logging
from collections.abc import Coroutine
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from ._current import current

if TYPE_CHECKING:
    from ._app import App

__all__ = ["TaskGroup"]

_T = TypeVar("_T")
_log = logging.getLogger("exeunt")

_UNWINDING = 1.0
"""Seconds that a task has to end once it is cancelled; one that does not is named, and left."""


class TaskGroup:
    """Tasks that end together: `async with exeunt.TaskGroup("workers", timeout=10) as group`.

    At the end of the block the tasks are told (`group.stop` is set), awaited for `timeout` seconds
    (unless it is None: then until they end, or until the program's drain deadline), then cancelled.
    Those that did not finish by themselves are named in `unfinished` and logged; one that swallows
    its cancellation is left after 1 s. Where a program runs (`exeunt.run`), the tasks are counted
    as its work, and its stop is theirs. If the block is left by an exception, they are cancelled at
    once.

    A task that fails does not end the others; it is logged, and makes the exit status 1.
    """

    def __init__(
        self, name: str = "group", *, timeout: float | None = None, app: "App | None" = None
    ) -> None:
        self.name = name
        self.timeout = timeout
        self.stop = asyncio.Event()
        """Set when the tasks are to end: at the end of the block, or as the program drains."""
        self.unfinished: tuple[str, ...] = ()
        """The names of those that had to be cancelled."""
        self._app = app if app is not None else current()
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(
        self, coroutine: Coroutine[Any, Any, _T], *, name: str | None = None
    ) -> asyncio.Task[_T]:
        """Begins a task in the group."""
        if self._app is not None:
            task = self._app.spawn(coroutine, name=name)
        else:
            task = asyncio.get_running_loop().create_task(coroutine, name=name)
            task.add_done_callback(self._over)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def __aenter__(self) -> "TaskGroup":
        if self._app is not None:
            self._app._groups.add(self)
            if self._app.stop.is_set():
                self.stop.set()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop.set()
        try:
            if error is None and self._tasks:
                await asyncio.wait(self._tasks, timeout=self.timeout)
        finally:
            await self._cancel()
            if self._app is not None:
                self._app._groups.discard(self)

    async def _cancel(self) -> None:
        left = {task for task in self._tasks if not task.done()}
        if not left:
            return
        self.unfinished = tuple(task.get_name() for task in left)
        _log.warning("%s: cut what had not finished: %s", self.name, ", ".join(self.unfinished))
        for task in left:
            if self._app is not None:
                self._app._tasks._cancel(task)
            else:
                task.cancel()
        _, stubborn = await asyncio.wait(left, timeout=_UNWINDING)
        for task in stubborn:
            _log.error("%s: %s swallowed its cancellation, and is left", self.name, task.get_name())

    def _over(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("task %s failed", task.get_name(), exc_info=error)
