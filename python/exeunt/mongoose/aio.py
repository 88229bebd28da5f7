"""`AsyncManager`: the event loop in a thread of its own, beside that of asyncio."""

import asyncio
import inspect
import logging
import sys
import threading
from asyncio import AbstractEventLoop, CancelledError, Task
from collections.abc import Callable, Coroutine
from contextlib import suppress
from time import monotonic
from types import FrameType, TracebackType
from typing import Any
from warnings import warn

from .._native import Connection, Timer, _drain_poll, _interrupt
from .._native import Manager as NativeManager
from ._background import whereabouts
from ._manager import Manager
from ._times import reserve

__all__ = ["AsyncManager"]

_log = logging.getLogger("exeunt")

_DRAIN = 0.8
"""Which part of `shutdown_timeout` a drain has: what it does not need is for the end."""

Handler = Callable[[Connection, int, Any], object]
Scheduled = Callable[[], object] | Coroutine[Any, Any, object]


class AsyncManager:
    """A `Manager` that a thread polls while the block is entered, for `async with`.

    `handler(conn, ev, data)` is called in that thread (but `MG_EV_OPEN` by whoever listens or
    connects), and so are timers; asyncio's loop is never blocked. All methods may be called by any
    thread, and in handlers. `poll_interval` (in milliseconds) is how often listeners are told
    `MG_EV_POLL` at least; nothing waits for it.

    Leaving the block drains, for 80 % of `shutdown_timeout` (in seconds) at most, and closes:
    what was accepted is answered, and each connection is told `MG_EV_CLOSE`, in the thread. While a
    handler holds that up there is a `RuntimeWarning` every 5 s that says where; at
    `shutdown_timeout` the last one, and the block is left all the same, with nothing closed. A
    cancellation meanwhile cuts the drain short, and leaves when all is closed; a second one leaves
    at once.

    It may be entered again after it was left.
    """

    _WARN_EVERY = 5.0

    def __init__(
        self,
        handler: Handler | None = None,
        poll_interval: int = 100,
        error_handler: Callable[[Exception], object] | None = None,
        shutdown_timeout: float = 30,
    ) -> None:
        self._handler = handler
        self._poll_interval = poll_interval
        self._error_handler = error_handler
        self._shutdown_timeout = shutdown_timeout
        self._manager: Manager | None = None
        self._poller: _Poller | None = None
        self._tasks: set[Task[object]] = set()

    @property
    def running(self) -> bool:
        """Whether the thread polls, and was not told to end."""
        return self._poller is not None and self._poller.serves

    @property
    def manager(self) -> Manager:
        """The manager that is polled. `RuntimeError` before the block is entered, and after it."""
        if self._manager is None or self._poller is None:
            raise RuntimeError("AsyncManager not started: enter it with `async with`")
        return self._manager

    async def __aenter__(self) -> "AsyncManager":
        if self._poller is not None:
            raise RuntimeError("this AsyncManager is running: leave it before it is entered again")
        loop = asyncio.get_running_loop()
        manager = Manager(self._handler, enable_wakeup=True, error_handler=self._error_handler)
        try:
            self._poller = _Poller(manager, loop, self._poll_interval, self._shutdown_timeout)
        except BaseException:
            # There is no thread to be had.
            manager.close(0)
            raise
        self._manager = manager
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        poller = self._poller
        if poller is None:
            return
        cancelled: CancelledError | None = None
        poller.stop()
        began = looked = monotonic()
        while not poller.ended.is_set():
            left = began + self._shutdown_timeout - monotonic()
            if left <= 0:
                self._poller = None
                poller.abandon()
                self._warn(
                    "AsyncManager: the poll thread did not stop within"
                    f" {self._shutdown_timeout:g} s ({poller.where()});"
                    " it is left behind, and its Manager is not closed"
                )
                break
            try:
                await poller.wait(min(left, looked + self._WARN_EVERY - monotonic()))
            except CancelledError as again:
                if cancelled is not None:
                    self._poller = self._manager = None
                    raise
                cancelled = again
                poller.hurry()
            if poller.ended.is_set() or monotonic() < looked + self._WARN_EVERY:
                continue
            looked = monotonic()
            if poller.holds_up():
                self._warn(
                    "AsyncManager: the poll thread has not stopped for"
                    f" {monotonic() - began:.3f} s: {poller.where()}"
                )
                poller.wake()
        else:
            poller.join()
            self._poller = self._manager = None
        if cancelled is not None:
            raise cancelled

    def _warn(self, text: str) -> None:
        _log.warning("%s", text)
        warn(text, RuntimeWarning, stacklevel=3)

    # From any thread.

    def listen(
        self, url: str, handler: Handler | None = None, *, http: bool | None = None
    ) -> Connection:
        """See `Manager.listen`."""
        return self.manager.listen(url, handler, http=http)

    def connect(
        self, url: str, handler: Handler | None = None, *, http: bool | None = None
    ) -> Connection:
        """See `Manager.connect`."""
        return self.manager.connect(url, handler, http=http)

    def ws_connect(self, url: str, handler: Handler | None = None) -> Connection:
        """See `Manager.ws_connect`."""
        return self.manager.ws_connect(url, handler)

    def timer_add(
        self,
        ms: float,
        callback: Callable[[], object],
        *,
        repeat: bool = False,
        run_now: bool = False,
    ) -> Timer:
        """See `Manager.timer_add`. The callback is called in the poll thread."""
        return self.manager.timer_add(ms, callback, repeat=repeat, run_now=run_now)

    def wakeup(self, connection_id: int, data: bytes = b"") -> bool:
        """See `Manager.wakeup`."""
        return self.manager.wakeup(connection_id, data)

    def schedule(self, coro_or_callback: Scheduled) -> None:
        """Runs that on asyncio's loop, soon: a coroutine as a task, anything else as a callback.

        What a coroutine raises is logged to `exeunt`; a callback's exceptions go to the loop's
        handler. `RuntimeError` before the block is entered, and when the loop is closed.
        """
        is_coroutine = inspect.iscoroutine(coro_or_callback)
        try:
            if self._poller is None:
                raise RuntimeError("AsyncManager not started: enter it with `async with`")
            if not (is_coroutine or callable(coro_or_callback)):
                kind = type(coro_or_callback).__name__
                raise TypeError(f"schedule() takes a coroutine or a callable, not {kind}")
            self._poller.loop.call_soon_threadsafe(self._begin, coro_or_callback)
        except BaseException:
            if inspect.iscoroutine(coro_or_callback):
                coro_or_callback.close()
            raise

    def _begin(self, what: Scheduled) -> None:
        result = what if inspect.iscoroutine(what) else what()  # type: ignore[operator]
        # An async function, say.
        if inspect.iscoroutine(result):
            task = asyncio.get_running_loop().create_task(result)
            self._tasks.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: "Task[object]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("what was scheduled by schedule() failed", exc_info=error)


class _Poller:
    """The thread that polls."""

    def __init__(
        self, manager: Manager, loop: AbstractEventLoop, poll_interval: int, timeout: float
    ) -> None:
        self.loop = loop
        self.ended = asyncio.Event()
        self._manager = manager
        self._poll_interval = max(poll_interval, 1)
        self._time = timeout * _DRAIN
        self._deadlines: tuple[float, float] | None = None
        self._drained = False
        self._abandoned = False
        self._passes = 0
        self._passes_seen = -1
        self._thread = threading.Thread(target=self._run, name="AsyncManager", daemon=True)
        self._thread.start()

    @property
    def serves(self) -> bool:
        return self._thread.is_alive() and self._deadlines is None

    def stop(self) -> None:
        """Has it drain, close and end."""
        self._passes_seen = self._passes
        self._end_by(self._time)

    def hurry(self) -> None:
        """Has it end its drain now."""
        self._end_by(0.0)

    def abandon(self) -> None:
        """Has it close nothing, whenever it ends."""
        self._abandoned = True

    def wake(self) -> None:
        """Ends its wait. It may be over already."""
        with suppress(RuntimeError):
            _interrupt(self._manager)

    async def wait(self, seconds: float) -> None:
        """Waits for its end, for that long at most."""
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.ended.wait(), seconds)

    def join(self) -> None:
        """Waits for the very end of a thread that has said that it is there."""
        self._thread.join()

    def holds_up(self) -> bool:
        """Whether a handler is at work, and has been since this was asked last."""
        seen, self._passes_seen = self._passes_seen, self._passes
        frame = self._frame()
        return frame is not None and frame.f_code not in _OWN and seen == self._passes_seen

    def where(self) -> str:
        """What it is at."""
        return whereabouts(self._frame(), _Poller._turn.__code__)

    def _frame(self) -> FrameType | None:
        return sys._current_frames().get(self._thread.ident or 0)

    def _end_by(self, left: float) -> None:
        end = monotonic() + left
        self._deadlines = (end - reserve(left), end)
        self.wake()

    def _run(self) -> None:
        try:
            while self._turn():
                self._passes += 1
        finally:
            self._say(self.ended.set)

    def _turn(self) -> bool:
        """One pass; whether another is to follow. What a handler raises that is no `Exception` is
        raised in the loop's thread."""
        if self._abandoned:
            return False
        if self._deadlines is None and self.loop.is_closed():
            # Nobody is left who could tell it to stop.
            self._end_by(self._time)
        try:
            if self._deadlines is None:
                self._manager.poll(self._poll_interval)
                return True
            now = monotonic()
            deadline, end = self._deadlines
            if not self._drained:
                self._drained = _drain_poll(self._manager, deadline - now, end - now) is not None
                return True
            NativeManager.close(self._manager)
            return False
        except Exception as error:
            _log.error("the poll thread of an AsyncManager cannot go on", exc_info=error)
            # It may still close, if it was not that.
            goes_on, self._drained = not self._drained, True
            self._end_by(0.0)
            return goes_on
        except BaseException as error:
            self._say(_raising(error))
            return not self._manager._freed

    def _say(self, what: Callable[[], object]) -> None:
        # The loop may be closed by now, and with it everybody who could want to know.
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(what)


_OWN = {_Poller._run.__code__, _Poller._turn.__code__, _Poller._say.__code__}


def _raising(error: BaseException) -> Callable[[], None]:
    def raises() -> None:
        raise error

    return raises
