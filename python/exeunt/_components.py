"""Components: started under a shield, closed in reverse order when the engine says so (P55)."""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from ._guard import Guard, Interrupted
from ._lifecycle import Lifecycle
from ._native import Component
from ._readers import add_reader, remove_reader
from ._stopping import Stopping

__all__ = ["Components", "call", "wants_value"]

_log = logging.getLogger("exeunt")


class Components:
    """The components of a program, in one loop. What decides is the engine."""

    def __init__(
        self,
        lifecycle: Lifecycle,
        loop: asyncio.AbstractEventLoop,
        guard: Guard | None,
        reported: list[BaseException],
    ) -> None:
        self._lifecycle = lifecycle
        self._loop = loop
        self._guard = guard
        self._open: list[Component] = []
        self._closing: set[asyncio.Task[None]] = set()
        self._starting: set[asyncio.Task[Any]] = set()
        self._reported = reported
        self.look: Callable[[], object] = lambda: None
        """Takes note of the phase, before what a close begins could be taken for what is cut."""

    def tasks(self) -> set[asyncio.Task[Any]]:
        """The tasks that start and close."""
        return {*self._closing, *self._starting}

    async def start(
        self,
        name: str,
        start: Callable[[], Any] | Awaitable[Any] | None,
        close: Callable[..., Any] | None,
        start_timeout: float,
        close_timeout: float | None,
    ) -> Any:
        component = Component(
            self._lifecycle, name, start_timeout=start_timeout, close_timeout=close_timeout
        )
        if component.state == "refused":
            if inspect.iscoroutine(start):
                start.close()
            raise Stopping(f"{name} does not start: {self._lifecycle.cause or 'the stop is over'}")
        _log.debug("%s starts", name)
        starting = self._loop.create_task(self._start(component, start, close), name=name)
        self._starting.add(starting)
        starting.add_done_callback(self._starting.discard)
        add_reader(self._loop, component.fileno(), self._look, component, starting)
        # Whoever waits may be cancelled; the start goes on, and what has started is closed (L3).
        return await asyncio.shield(starting)

    def end(self) -> None:
        """Forgets all; nothing of it is called any more."""
        for component in self._open:
            remove_reader(self._loop, component.fileno())
        self._open.clear()
        for task in self.tasks():
            task.cancel()

    async def _start(
        self,
        component: Component,
        start: Callable[[], Any] | Awaitable[Any] | None,
        close: Callable[..., Any] | None,
    ) -> Any:
        self._open.append(component)
        try:
            value = await self._guarded(component, start)
        except asyncio.CancelledError:
            if component.state != "over":
                component.start_failed("it was cancelled")
            self._forget(component)
            raise TimeoutError(
                f"{component.name} did not start in time, and was given up"
            ) from None
        except BaseException as error:
            self._reported.append(error)
            component.start_failed(_words(error))
            self._forget(component)
            raise
        remove_reader(self._loop, component.fileno())
        look = partial(self._look_at_open, component, partial(_close, close, value))
        add_reader(self._loop, component.fileno(), look)
        if not component.started():
            self._forget(component)
            raise _given_up(component)
        _log.debug("%s has started", component.name)
        return value

    def _look(self, component: Component, starting: asyncio.Task[Any]) -> None:
        component.seen()
        if component.state == "over":
            starting.cancel()

    def _look_at_open(self, component: Component, close: Callable[[], Any]) -> None:
        component.seen()
        if component.state != "closing":
            return
        self._forget(component)
        self.look()
        for earlier in self._closing:
            # The engine asks for one at a time: it has given up those before.
            earlier.cancel()
        closing = self._loop.create_task(self._close(component, close), name=component.name)
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def _close(self, component: Component, close: Callable[[], Any]) -> None:
        _log.info("closing %s", component.name)
        try:
            await self._guarded(component, close)
        except asyncio.CancelledError:
            _log.warning("%s did not close in time, and was given up", component.name)
            component.closed("it was cancelled")
        except BaseException as error:
            _log.error("closing %s failed", component.name, exc_info=error)
            component.closed(_words(error))
        else:
            component.closed()

    async def _guarded(
        self, component: Component, act: Callable[[], Any] | Awaitable[Any] | None
    ) -> Any:
        """What is not async runs here, in the loop's thread, and is interrupted if it hangs."""
        if act is None:
            return None
        if callable(act):
            if self._guard is None:
                act = act()
            else:
                try:
                    with self._guard.interruptible(component, self._open):
                        act = act()
                except Interrupted as error:
                    raise TimeoutError(str(error)) from None
        return await act if inspect.isawaitable(act) else act

    def _forget(self, component: Component) -> None:
        if component in self._open:
            self._open.remove(component)
            remove_reader(self._loop, component.fileno())


def _given_up(component: Component) -> TimeoutError:
    return TimeoutError(f"{component.name} did not start in time, and was given up")


def _close(close: Callable[..., Any] | None, value: Any) -> Any:
    return None if close is None else call(close, value)


def call(function: Callable[..., Any], value: Any) -> Any:
    """Calls it with `value`, if it wants one."""
    return function(value) if wants_value(function) else function()


def wants_value(function: Callable[..., Any]) -> bool:
    """Whether it has a parameter that needs a value."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return True
    positional = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD
    return any(each.kind in positional and each.default is each.empty for each in parameters)


def _words(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
