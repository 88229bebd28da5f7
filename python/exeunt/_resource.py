"""Context managers as parts of a program: entered and left under a shield (P55)."""

import asyncio
import logging
from collections.abc import Generator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ._lifecycle import Phase
from ._stopping import Stopping

if TYPE_CHECKING:
    from ._app import App

__all__ = ["Resource"]

_T = TypeVar("_T")
_log = logging.getLogger("exeunt")


class Resource(Generic[_T]):
    """What `App.resource` gives: to be awaited, or entered by `async with`."""

    def __init__(
        self,
        app: "App",
        context: AbstractAsyncContextManager[_T] | AbstractContextManager[_T],
        name: str | None,
        start_timeout: float,
        timeout: float | None,
    ) -> None:
        self._app = app
        self._context = context
        self._name = name or _name_of(context)
        self._start_timeout = start_timeout
        self._timeout = timeout
        self._before: set[asyncio.Task[Any]] = set()

    def __await__(self) -> Generator[Any, None, _T]:
        return self._component().__await__()

    async def __aenter__(self) -> _T:
        if self._app.lifecycle.is_stopping:
            raise Stopping(f"{self._name} does not start: {self._app.stop.cause}")
        self._before = set(self._app._tasks.live())
        entering = asyncio.ensure_future(self._enter())
        self._app._ours.add(entering)
        entering.add_done_callback(self._app._ours.discard)
        done, _ = await asyncio.wait({entering}, timeout=self._start_timeout)
        if not done:
            entering.cancel()
            raise TimeoutError(f"{self._name} did not start in {self._start_timeout:g} s")
        return entering.result()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        # In a task of its own: whoever waits here may be cancelled, and the close goes on.
        leaving = asyncio.ensure_future(self._leave(kind, error, traceback))
        self._app._ours.add(leaving)
        leaving.add_done_callback(self._app._ours.discard)
        cancelled = None
        while not leaving.done():
            try:
                await asyncio.wait({leaving})
            except asyncio.CancelledError as again:
                if self._app.phase == Phase.STOPPED:
                    leaving.cancel()
                cancelled = again
        if cancelled is not None and error is None:
            raise cancelled
        return leaving.result()

    async def _component(self) -> _T:
        return await self._app.component(
            self._name,
            self._enter,
            lambda: self._exit(None, None, None),
            start_timeout=self._start_timeout,
            timeout=self._timeout,
        )

    async def _enter(self) -> _T:
        if isinstance(self._context, AbstractAsyncContextManager):
            return await self._context.__aenter__()
        return self._context.__enter__()

    async def _exit(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        if isinstance(self._context, AbstractAsyncContextManager):
            return await self._context.__aexit__(kind, error, traceback)
        return self._context.__exit__(kind, error, traceback)

    async def _leave(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        app = self._app
        users = set(app._tasks.live()) - self._before
        users = {task for task in users if task not in app._bodies}
        if users:
            app.request_stop(f"{self._name} is to close")
            await asyncio.wait(users)
        _log.info("closing %s", self._name)
        with app.work(self._name, "close") as work:
            try:
                return await asyncio.wait_for(self._exit(kind, error, traceback), self._timeout)
            except asyncio.TimeoutError:
                text = f"{self._name} did not close in {self._timeout:g} s, and was given up"
                _log.error("%s", text)
                work.fail(text)
                return None
            except Exception as failure:
                if failure is error:
                    raise
                _log.error("closing %s failed", self._name, exc_info=failure)
                work.fail(failure)
                return None


def _name_of(context: object) -> str:
    made_by = getattr(getattr(context, "gen", None), "__qualname__", None)
    return str(made_by) if made_by else type(context).__qualname__
