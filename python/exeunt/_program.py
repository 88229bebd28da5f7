"""One run of `exeunt.run`: the loop, the main function, and the end of the process (P53, P56)."""

import asyncio
import inspect
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

from ._app import App
from ._components import call
from ._current import APP
from ._driver import Driver
from ._embed import remember
from ._guard import Guard
from ._leave import end_process, holding_threads, where
from ._lifecycle import Lifecycle, Report, Work
from ._stopping import is_by_stop

__all__ = ["Program"]

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
        self._options = {"force": "exit" if self._owns else "notify", **options}
        self._loop_factory = loop_factory or asyncio.new_event_loop
        self._known = frozenset(threading.enumerate())
        self._executor = ThreadPoolExecutor(thread_name_prefix="asyncio")
        self._leaving: BaseException | None = None
        self._left: list[str] = []
        self._ended_itself = False

    def run(self, main: Callable[..., Any] | Coroutine[Any, Any, Any]) -> Any:
        """Runs it: what main returns, or the exception that says otherwise."""
        loop = self._loop_factory()
        with ExitStack() as stack:
            stack.callback(self._end_loop, loop)
            asyncio.set_event_loop(loop)
            loop.set_default_executor(self._executor)
            lifecycle = Lifecycle(**self._options)
            if self._owns:
                self._guard = stack.enter_context(Guard(lifecycle, self._say))
            # Behind a close the guard's wait is over.
            stack.callback(lifecycle.close)
            app = App(lifecycle, loop, self._guard if self._owns else None)
            program = loop.create_task(self._run(app, loop, main), name="exeunt")
            app._ours.add(program)
            while not program.done():
                try:
                    loop.run_until_complete(program)
                except (SystemExit, KeyboardInterrupt) as error:
                    # Of a task: it leaves the loop at once, and the loop can go on.
                    self._leaving = self._leaving or error
                    lifecycle.request_stop(f"{type(error).__name__} in a task")
            body = program.result()
            report = remember(lifecycle.close())
            if self._owns and (self._left or report.left_behind_count):
                end_process(report.exit_status or 3, self._say)
        return self._outcome(body, report)

    async def _run(
        self,
        app: App,
        loop: asyncio.AbstractEventLoop,
        main: Callable[..., Any] | Coroutine[Any, Any, Any],
    ) -> "asyncio.Task[Any]":
        APP.set(app)
        driver = Driver(app, loop, lambda: app._tasks.sweep(app._ours | app._components.tasks()))
        lifecycle = app.lifecycle
        if self._owns:
            # Started first, so that it closes last.
            await app.component("threads", lambda: None, lambda: self._await_threads(app))
        body = loop.create_task(self._body(app, main), name="main")
        app._bodies.add(body)
        app._tasks.count(body, "body", essential=True)
        await asyncio.wait({body, driver.finished}, return_when=asyncio.FIRST_COMPLETED)
        self._ended_itself = lifecycle.request_stop("main has ended")
        await driver.finished
        if self._owns:
            self._guard.noticed()
        rest = asyncio.all_tasks() - {
            program for program in app._ours if program.get_name() == "exeunt"
        }
        for task in rest:
            task.cancel()
        if rest:
            _, rest = await asyncio.wait(rest, timeout=_UNWINDING)
        self._left += [f"task {task.get_name()}" for task in rest]
        driver.end()
        return body

    async def _body(self, app: App, main: Callable[..., Any] | Coroutine[Any, Any, Any]) -> Any:
        try:
            result = main if inspect.iscoroutine(main) else call(main, app)  # type: ignore[arg-type]
            return await result if inspect.isawaitable(result) else result
        except (SystemExit, KeyboardInterrupt) as error:
            self._leaving = error
            return None

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

    def _say(self) -> None:
        threads = [where(thread) for thread in holding_threads(frozenset())]
        left = [*self._left, *(f"thread {name}" for name in threads)]
        _log.error("the process ends; still there: %s", "; ".join(left) or "the main thread")

    def _outcome(self, body: "asyncio.Task[Any]", report: Report) -> Any:
        if self._leaving is not None and report.verdict in ("clean", "failed"):
            raise self._leaving
        if report.verdict in ("clean", "failed") and body.done() and not body.cancelled():
            error = body.exception()
            if error is not None and not is_by_stop(error):
                raise error
        if not report.is_clean:
            raise SystemExit(report.exit_status)
        if not body.done() or body.cancelled() or body.exception() is not None:
            return None
        return body.result()

    def _end_loop(self, loop: asyncio.AbstractEventLoop) -> None:
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


async def _watch(work: dict[threading.Thread, Work], known: frozenset[threading.Thread]) -> None:
    while work:
        await asyncio.sleep(_LOOK)
        for thread in set(work) - set(holding_threads(known)):
            work.pop(thread).done()
