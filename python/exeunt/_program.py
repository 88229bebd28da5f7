"""One run of `exeunt.run`: the loop, the main function, and the end of the process (P53, P56)."""

import asyncio
import inspect
import logging
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import Any, TypeVar

from ._app import App
from ._components import call
from ._current import APP
from ._driver import Driver
from ._embed import remember
from ._guard import THREADS, Guard
from ._interrupts import kept_from_loops
from ._late import keep_until_exit
from ._leave import end_process, holding_threads, where
from ._lifecycle import Lifecycle, Report, Work
from ._native import _Shields as _shields
from ._proactor import quiet_while_closing
from ._signals import in_charge
from ._stopping import Stopping, is_by_stop
from ._sync import run_sync

__all__ = ["Program"]

_T = TypeVar("_T")
_Main = Callable[..., Any] | Coroutine[Any, Any, Any]
_Prepare = Callable[[App], Awaitable[None]]

_log = logging.getLogger("exeunt")

_UNWINDING = 0.2
"""Seconds that tasks have to unwind once the end was forced, or the hard deadline is there."""

_LOOK = 0.02
"""Seconds between two looks at threads, whose end nobody tells."""


class Program:
    """A program that is run once. In the main thread it owns the process."""

    def __init__(
        self,
        options: dict[str, Any],
        loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    ) -> None:
        self._owns = threading.current_thread() is threading.main_thread()
        self._pid = os.getpid()
        self._options = {"force": "exit" if self._owns else "notify", **options}
        self._loop_factory = loop_factory or asyncio.new_event_loop
        self._known = frozenset(threading.enumerate())
        self._executor = ThreadPoolExecutor(thread_name_prefix="asyncio")
        self._value: Any = None
        self._raised: BaseException | None = None
        self._was_cut = False
        self._left: list[str] = []
        self._ended_itself = False

    def run(
        self,
        main: _Main,
        prepare: _Prepare | None = None,
    ) -> Any:
        """Runs it: what main returns, or the exception that says otherwise.

        `prepare` starts what main needs; a stop that comes meanwhile is main's, too.
        """
        try:
            return self._run_through(main, prepare)
        except _LeftMain as left:
            if left.error is not None:
                raise left.error from None
            return left.value

    def _run_through(self, main: _Main, prepare: _Prepare | None) -> Any:
        loop = self._loop_factory()
        with ExitStack() as stack:
            stack.callback(self._end_loop, loop)
            asyncio.set_event_loop(loop)
            loop.set_default_executor(self._executor)
            if self._owns:
                stack.enter_context(kept_from_loops())
            lifecycle = Lifecycle(**self._options)
            stack.callback(_shields.unfollow, _shields.follow(lifecycle))
            if self._owns:
                # What blocks hold off raises nothing in the loop: the stop is ours to see through.
                stack.enter_context(in_charge(lambda signum: None))
            guard = Guard(lifecycle, self._say) if self._owns else None
            if guard is not None:
                stack.enter_context(guard)
            # Behind a close the guard's wait is over.
            stack.callback(lifecycle.close)
            app = App(lifecycle, loop, guard)
            stack.callback(APP.reset, APP.set(app))
            stack.callback(self._leave_to_parent, stack, loop)
            driver = self._through(loop, app, self._begin(app, loop))
            if _is_async(main):
                self._through(loop, app, self._run(app, driver, prepare, main))
            else:
                self._through(loop, app, self._run(app, driver, prepare, None))
                if not (self._raised or self._was_cut or lifecycle.is_stopping):
                    assert callable(main)
                    self._value, self._raised = run_sync(app, guard, main)
                    if self._is_forked():
                        return self._outcome(None)
                    if inspect.iscoroutine(self._value):
                        self._through(loop, app, self._run(app, driver, None, self._value))
            self._ended_itself = lifecycle.request_stop("main has ended")
            self._through(loop, app, self._finish(app, guard, driver))
            if self._owns and (lifecycle.cause or "").startswith("SIG"):
                # Before the handlers of the lifecycle go: none comes in between.
                self._keep_signals(lifecycle)
            report = remember(lifecycle.close())
            if self._owns and (self._left or report.left_behind_count):
                end_process(report.exit_status or 3, self._say)
        return self._outcome(report)

    def _through(
        self, loop: asyncio.AbstractEventLoop, app: App, stage: Coroutine[Any, Any, _T]
    ) -> _T:
        """Runs a part of the program in the loop, to its end."""
        task = loop.create_task(stage, name="exeunt")
        app._ours.add(task)
        while not task.done():
            try:
                loop.run_until_complete(task)
            except (SystemExit, KeyboardInterrupt) as error:
                if self._is_forked():
                    raise
                # Of another task: it leaves the loop at once, and the loop can go on.
                self._raised = self._raised or error
                app.request_stop(f"{type(error).__name__} in a task")
        app._ours.discard(task)
        return task.result()

    async def _begin(self, app: App, loop: asyncio.AbstractEventLoop) -> Driver:
        driver = Driver(app, loop, lambda: app._tasks.sweep(app._ours | app._components.tasks()))
        if self._owns:
            # Started first, so that it closes last.
            with suppress(Stopping):
                await app.component(THREADS, lambda: None, lambda: self._await_threads(app))
        return driver

    async def _run(
        self, app: App, driver: Driver, prepare: _Prepare | None, main: _Main | None
    ) -> None:
        body = asyncio.ensure_future(self._body(app, prepare, main))
        body.set_name("main")
        app._bodies.add(body)
        app._tasks.count(body, "body", essential=True)
        await asyncio.wait({body, driver.finished}, return_when=asyncio.FIRST_COMPLETED)
        # One that was cut has a moment to unwind.
        await asyncio.wait({body}, timeout=_UNWINDING)
        if not body.done() or body.cancelled():
            self._was_cut = True
        elif (error := body.exception()) is None:
            self._value = body.result()
        elif not is_by_stop(error):
            self._raised = self._raised or error

    async def _body(self, app: App, prepare: _Prepare | None, main: _Main | None) -> Any:
        try:
            if prepare is not None:
                await prepare(app)
            if main is None or (prepare is not None and app.lifecycle.is_stopping):
                return None
            result = call(main, app) if callable(main) else main
            result = await result if inspect.isawaitable(result) else result
            if self._is_forked():
                raise _LeftMain(result, None)
            return result
        except (SystemExit, KeyboardInterrupt) as error:
            if self._is_forked():
                raise
            # They would leave the loop, and the rest of the program with it.
            self._raised = self._raised or error
            return None
        except BaseException as error:
            if self._is_forked():
                raise _LeftMain(None, error) from None
            raise
        finally:
            if inspect.iscoroutine(main):
                main.close()

    async def _finish(self, app: App, guard: Guard | None, driver: Driver) -> None:
        await driver.finished
        if guard is not None:
            guard.noticed()
        rest = {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}
        for task in rest:
            task.cancel()
        if rest:
            _, rest = await asyncio.wait(rest, timeout=_UNWINDING)
        self._left += [f"task {task.get_name()}" for task in rest]
        driver.end()

    async def _await_threads(self, app: App) -> None:
        """Counts the threads that would hold up the interpreter's end, until they are over."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        known = self._known if self._ended_itself else frozenset()
        holding = holding_threads(known)
        if holding:
            work = {
                thread: app.lifecycle.work(where(thread), "thread", scope="threads")
                for thread in holding
            }
            task = asyncio.ensure_future(_watch(work, known))
            app._ours.add(task)

    def _keep_signals(self, lifecycle: Lifecycle) -> None:
        numbers = self._options.get("signals")
        if numbers is None:
            names = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGBREAK")
            numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
        ignored = lifecycle.ignored_signals
        attempts = self._options.get("max_attempts", 3)
        keep_until_exit([each for each in numbers if each not in ignored], attempts - 1)

    def _say(self) -> None:
        threads = [where(thread) for thread in holding_threads(frozenset())]
        left = [*self._left, *(f"thread {name}" for name in threads)]
        _log.error("the process ends; still there: %s", "; ".join(left) or "the main thread")

    def _is_forked(self) -> bool:
        return os.getpid() != self._pid

    def _leave_to_parent(self, stack: ExitStack, loop: asyncio.AbstractEventLoop) -> None:
        """In a forked child that leaves main, all of this is the parent's (L17).

        What the loop waits for is the kernel's (epoll(7)), and shared: closing it here would have
        the parent wait for nothing.
        """
        if not self._is_forked():
            return
        stack.pop_all()
        asyncio.set_event_loop(None)
        with suppress(AttributeError):
            # Otherwise asyncio closes it when it is freed.
            loop._closed = True  # type: ignore[attr-defined]

    def _outcome(self, report: Report | None) -> Any:
        if report is None:
            if self._raised is not None:
                raise self._raised
            return self._value
        if self._raised is not None:
            hides = _says_well(self._raised) and not report.is_clean
            if report.verdict in ("clean", "failed") and not hides:
                raise self._raised
        if not report.is_clean:
            raise SystemExit(report.exit_status)
        return self._value

    def _end_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        quiet_while_closing(loop)
        try:
            if not loop.is_closed():
                ending = asyncio.wait_for(loop.shutdown_asyncgens(), 1)
                loop.run_until_complete(ending)
        except asyncio.TimeoutError:
            _log.error("async generators did not end")
        finally:
            asyncio.set_event_loop(None)
            loop.close()
            self._executor.shutdown(wait=False)


class _LeftMain(SystemExit):
    """A forked child has left main; this leaves the parent's loop, which cannot go on there."""

    def __init__(self, value: Any, error: BaseException | None) -> None:
        super().__init__()
        self.value = value
        self.error = error


async def _watch(work: dict[threading.Thread, Work], known: frozenset[threading.Thread]) -> None:
    while work:
        await asyncio.sleep(_LOOK)
        for thread in set(work) - set(holding_threads(known)):
            work.pop(thread).done()


def _says_well(error: BaseException) -> bool:
    return isinstance(error, SystemExit) and error.code in (None, 0)


def _is_async(main: _Main) -> bool:
    if inspect.iscoroutine(main) or inspect.iscoroutinefunction(main):
        return True
    return inspect.iscoroutinefunction(type(main).__call__)
