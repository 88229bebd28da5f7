"""The end of a program with blocks: its code is over, and what is raised now nobody hears (P49).

Once the main module has ended the interpreter waits for threads (`threading._shutdown`), and then
calls exit handlers. An exception that a signal's handler raises there would end that wait, or the
exit handler, be printed as "Exception ignored", and change no exit status. So a stop that falls
due then raises nothing: it is settled by the exit status.
"""

import logging
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

from ._native import _Shields as _core

__all__ = ["at_exit", "is_over", "wait_for_blocks"]

ROLLBACK = 1.0
"""Seconds that a thread has to roll back once its time is over, at the end of the program (L9)."""

_TURN = 0.005

_exits = False
"""Our exit handler has had its turn, or has it now."""


def is_over(frame: FrameType | None) -> bool:
    """Whether the program's own code has ended; `frame` is what runs in the main thread."""
    if not threading.main_thread().is_alive():
        return True
    if frame is None:
        # Between the two, where output is flushed; or somebody types at a prompt.
        return not hasattr(sys, "ps1")
    while frame.f_back is not None:
        frame = frame.f_back
    return frame.f_code is threading._shutdown.__code__  # type: ignore[attr-defined]


def leave(forced: bool, more_came: Callable[[], bool]) -> None:
    """In place of the exception. A forced end comes at once, behind the rollbacks of threads."""
    status = _core.owe()
    if forced:
        from ._leave import end_process

        wait_for_blocks(lambda: False)
        _last_words()
        end_process(1 if status is None else status, lambda: None)
    elif _exits:
        # The exit handler does not wait any more, and the interpreter not for daemons.
        wait_for_blocks(more_came)
        _last_words()


def at_exit() -> None:
    """The exit handler: after a stop, waits for the blocks of threads that run on (P46)."""
    global _exits
    _exits = True
    if _core.ending():
        wait_for_blocks(lambda: False)
    _last_words()


def wait_for_blocks(is_enough: Callable[[], bool]) -> None:
    """Waits for the blocks of all other threads, and for those that are leaving."""
    since: dict[int, float] = {}
    while not is_enough():
        running = sys._current_frames()
        now = time.monotonic()
        waited = [
            thread
            for thread, over in _core.live_threads()
            if thread in running and not (over and now - since.setdefault(thread, now) > ROLLBACK)
        ]
        if not waited and not _core.leaving():
            return
        time.sleep(_TURN)


def _last_words() -> None:
    from . import _shields

    if _core.is_owed():
        _shields._before_termination()
    for name, error in _shields._failures:
        logging.getLogger("exeunt").error("%s failed", name, exc_info=error)
    _shields._failures.clear()
