"""`App`: what a program that `exeunt.run` runs is given."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, TypeVar, overload

from ._components import Components
from ._group import TaskGroup
from ._guard import Guard
from ._lifecycle import Lifecycle, Phase, Report, Work
from ._resource import Resource
from ._stop import Stop
from ._tasks import Tasks

__all__ = ["App"]

_T = TypeVar("_T")


class App:
    """A program while it runs: its stop, its tasks, its components. Made by `exeunt.run`."""

    def __init__(
        self, lifecycle: Lifecycle, loop: asyncio.AbstractEventLoop, guard: Guard | None = None
    ) -> None:
        self.lifecycle = lifecycle
        """The engine: phases, deadlines, counted work of other kinds."""
        self.stop = Stop(lifecycle)
        """Says that the program is to stop."""
        self._tasks = Tasks(lifecycle)
        self._components = Components(lifecycle, loop, guard, self._tasks.reported)
        self._groups: set[TaskGroup] = set()
        # Tasks of ours, which nobody is to cancel.
        self._ours: set[asyncio.Task[Any]] = set()
        self._bodies: set[asyncio.Task[Any]] = set()

    @property
    def phase(self) -> Phase:
        """Where the program is on its way to the end."""
        return self.lifecycle.phase

    @property
    def report(self) -> Report | None:
        """What happened in the stop; None before it is over."""
        return self.lifecycle.report

    def ready(self) -> None:
        """Says that everything has started: systemd is told.

        Waiting for the stop says it, too, and so does the end of main.
        """
        self.lifecycle.ready()

    def request_stop(self, cause: str) -> bool:
        """Requests the stop; says whether nobody had before. From any thread."""
        return self.lifecycle.request_stop(cause)

    def spawn(
        self,
        coroutine: Coroutine[Any, Any, _T],
        *,
        name: str | None = None,
        essential: bool = False,
    ) -> asyncio.Task[_T]:
        """Begins a task: a reference is kept, it is counted, awaited until the drain deadline,
        then cancelled, and named in the report if it had not finished.

        One that fails is logged and makes the exit status 1; the program goes on, unless the task
        is `essential`. One that is begun after the drain deadline is cancelled before it begins.
        """
        return self._tasks.spawn(coroutine, name=name, essential=essential)

    def group(self, name: str = "group", *, timeout: float | None = None) -> TaskGroup:
        """Tasks that end together: see `TaskGroup`."""
        return TaskGroup(name, timeout=timeout, app=self)

    def work(self, name: str, kind: str = "work") -> Work:
        """Counts a piece of work that is no task: `with app.work("import"): ...`."""
        return self.lifecycle.work(name, kind)

    @overload
    async def component(
        self,
        name: str,
        start: Callable[[], Awaitable[_T]] | Awaitable[_T],
        close: Callable[..., Any] | None = ...,
        *,
        start_timeout: float = ...,
        timeout: float | None = ...,
    ) -> _T: ...
    @overload
    async def component(
        self,
        name: str,
        start: Callable[[], _T],
        close: Callable[..., Any] | None = ...,
        *,
        start_timeout: float = ...,
        timeout: float | None = ...,
    ) -> _T: ...
    async def component(
        self,
        name: str,
        start: Callable[[], Any] | Awaitable[Any],
        close: Callable[..., Any] | None = None,
        *,
        start_timeout: float = 60.0,
        timeout: float | None = None,
    ) -> Any:
        """Starts something that closes in the end, once all work is done, in reverse order.

        `start` is called (or awaited), and what it gives is returned; `close` is called with that,
        if it has a parameter that needs a value. Either may be async; what is not runs in the
        loop's thread. A stop request lets the start finish, and it is closed then (L3).

        `start_timeout` and `timeout`, that of the close, are in seconds, inside what the stop has
        left; without a `timeout` the close has half of what is left, or all of it for the last.
        What does not start in time, or fails to, stops the program; what does not close in time is
        given up, and the next closes (L4).

        Raises `Stopping` if a stop was requested before, `TimeoutError` if the start took too long,
        and what `start` raises.
        """
        return await self._components.start(name, start, close, start_timeout, timeout)

    def resource(
        self,
        context: AbstractAsyncContextManager[_T] | AbstractContextManager[_T],
        *,
        name: str | None = None,
        start_timeout: float = 60.0,
        timeout: float | None = None,
    ) -> Resource[_T]:
        """The same for a context manager, async or not.

        `pool = await app.resource(open_pool())` enters it and leaves it in the end, behind all
        work. `async with app.resource(open_pool()) as pool:` leaves it at the end of the block,
        once the tasks that were spawned in the block are over.
        """
        return Resource(self, context, name, start_timeout, timeout)
