"""`Manager.start` and `Manager.stop`: a thread that polls, is told, drains, and is joined."""

import atexit
import os
import sys
import threading
import weakref
from _thread import allocate_lock
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING

from .._native import DrainReport, _drain_poll, _interrupt
from .._native import Manager as NativeManager
from ._times import reserve

if TYPE_CHECKING:
    from collections.abc import Callable


class Background:
    """The thread that polls a manager which was started."""

    def __init__(self, manager: NativeManager) -> None:
        self._manager = manager
        self._deadlines: tuple[float, float] | None = None
        self.report: DrainReport | None = None
        self.error: BaseException | None = None
        # Up to Python 3.12 a thread whose join is left by an exception (Ctrl-C) is taken for ended.
        self._ended = False
        self._end = allocate_lock()
        self._end.acquire()
        self._process = os.getpid()
        self._thread = threading.Thread(
            target=self._serve, name=f"exeunt-manager-{id(manager):x}", daemon=True
        )
        # A daemon, so that a program that forgets it can end: the interpreter joins all others
        # before it calls anybody who could tell them. What it calls then is this.
        self._at_exit = _stop_at_exit(weakref.ref(manager))
        self._thread.start()
        atexit.register(self._at_exit)

    @property
    def is_alive(self) -> bool:
        return not self._ended and self._process == os.getpid()

    @property
    def is_here(self) -> bool:
        """Whether this is the thread that polls, in one of its handlers."""
        return threading.current_thread() is self._thread

    def request(self) -> bool:
        """Drains from now on, with the time that `stop` has by itself, until it says another."""
        if self._deadlines is not None:
            return False
        self.tell(monotonic() + 25.0)
        return True

    def tell(self, end: float) -> None:
        """Drains from now on, until that moment. Told again, it has the time that is said then."""
        self._deadlines = (end - reserve(max(end - monotonic(), 0)), end)
        _interrupt(self._manager)

    def join(self, end: float, timeout: float) -> None:
        """Waits for its end until that moment; a TimeoutError names what holds it up."""
        # Who is interrupted behind `acquire` leaves it locked: nobody waits for it any more then.
        if not self._ended and self._end.acquire(timeout=max(end - monotonic(), 0)):
            self._end.release()
        if not self._ended:
            raise TimeoutError(
                f"the Manager did not stop within {timeout:g} s: {self._whereabouts()}; "
                "it is not closed, and stop() can be called again"
            )
        self._thread.join()
        atexit.unregister(self._at_exit)

    def _serve(self) -> None:
        try:
            while self._deadlines is None:
                self._manager.poll(-1)
            while self.report is None:
                now = monotonic()
                deadline, end = self._deadlines
                self.report = _drain_poll(self._manager, deadline - now, end - now)
        except BaseException as error:
            # For whoever stops it: nobody else is there to be told.
            self.error = error
        finally:
            self._ended = True
            self._end.release()

    def _whereabouts(self) -> str:
        ident = self._thread.ident
        frame = sys._current_frames().get(ident) if ident is not None else None
        return whereabouts(frame, Background._serve.__code__)


def whereabouts(frame: FrameType | None, below: object) -> str:
    """Which handler runs, and where it is: what was called by the code `below`."""
    innermost = handler = frame
    while frame is not None and frame.f_code is not below:
        handler = frame
        frame = frame.f_back
    if handler is None or innermost is None or innermost.f_code is below:
        return "no handler of Python's runs, so its last pass is about to end"
    code = handler.f_code
    name = getattr(code, "co_qualname", code.co_name)
    text = f"the handler {name} is at {code.co_filename}:{handler.f_lineno}"
    if handler is not innermost:
        inner = innermost.f_code
        inner_name = getattr(inner, "co_qualname", inner.co_name)
        text += f", in {inner_name} at {inner.co_filename}:{innermost.f_lineno}"
    return text


def _stop_at_exit(manager: "weakref.ref[NativeManager]") -> "Callable[[], None]":
    process = os.getpid()

    def stop() -> None:
        found = manager()
        # A forked child has no such thread.
        if found is not None and process == os.getpid():
            found.stop()  # type: ignore[attr-defined]

    return stop
