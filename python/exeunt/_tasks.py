"""Tasks that are counted: kept, awaited, cut at the drain deadline, and named (P54)."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from ._lifecycle import Lifecycle, Phase, Work
from ._stopping import is_by_stop

__all__ = ["Tasks"]

_T = TypeVar("_T")
_log = logging.getLogger("exeunt")

_SCOPES = {"task": "tasks", "body": "main"}
"""By kind of work, the name of its group in the report."""


class Tasks:
    """The counted tasks of a program, in one loop."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle
        self._work: dict[asyncio.Task[Any], Work] = {}
        self._essential: set[asyncio.Task[Any]] = set()
        self._cut: set[asyncio.Task[Any]] = set()
        self.reported: list[BaseException] = []
        """Errors that the engine knows of already."""

    def spawn(
        self,
        coroutine: Coroutine[Any, Any, _T],
        *,
        name: str | None = None,
        kind: str = "task",
        essential: bool = False,
    ) -> asyncio.Task[_T]:
        """Begins a task that is counted."""
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self.count(task, kind, essential=essential)
        if self._lifecycle.phase >= Phase.CLOSING:
            # What begins behind the drain deadline never begins (L12).
            self._cancel(task)
        return task

    def count(self, task: asyncio.Task[Any], kind: str, *, essential: bool = False) -> None:
        """Counts a task that is there."""
        self._work[task] = self._lifecycle.work(
            task.get_name(), kind, scope=_SCOPES.get(kind, kind)
        )
        if essential:
            self._essential.add(task)
        task.add_done_callback(self._over)

    def live(self) -> list[asyncio.Task[Any]]:
        """Those in flight."""
        return list(self._work)

    def cut(self) -> None:
        """Cancels all that are in flight."""
        for task in self.live():
            self._cancel(task)

    def sweep(self, ours: set[asyncio.Task[Any]]) -> None:
        """Cancels what nobody has counted; the closing waits for it like for what is cut."""
        for task in asyncio.all_tasks() - ours - set(self._work):
            work = self._lifecycle.work(task.get_name(), "uncounted task", scope="uncounted tasks")
            self._work[task] = work
            task.add_done_callback(self._swept)
            task.cancel()

    def _cancel(self, task: asyncio.Task[Any]) -> None:
        self._cut.add(task)
        task.cancel()

    def _swept(self, task: asyncio.Task[Any]) -> None:
        self._work.pop(task).done()
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("%s failed as it was cancelled", task.get_name(), exc_info=error)

    def _over(self, task: asyncio.Task[Any]) -> None:
        work = self._work.pop(task)
        was_cut = task in self._cut
        self._cut.discard(task)
        essential = task in self._essential
        self._essential.discard(task)
        if task.cancelled():
            if was_cut:
                _log.warning("%s %s was cut: it had not finished in time", work.kind, work.name)
                work.cut()
            else:
                work.done()
            return
        error = task.exception()
        if error is None or is_by_stop(error) or isinstance(error, (SystemExit, KeyboardInterrupt)):
            work.done()
            return
        if any(error is known for known in self.reported):
            work.done()
            return
        self.reported.append(error)
        if essential:
            self._lifecycle.fail(work.name, _words(error))
            work.done()
        else:
            _log.error("%s %s failed", work.kind, work.name, exc_info=error)
            work.fail(error)


def _words(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
