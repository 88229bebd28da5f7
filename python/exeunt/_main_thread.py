"""Interrupting the main thread on Windows, where no signal can be sent to it (P80)."""

import os
import signal
import sys

from ._native import _interrupt_main_thread, _waits_end_by

__all__ = ["interrupt_main_thread", "prepare", "raise_here"]


def prepare() -> None:
    """Finds what ends the waits of the main thread, on Windows."""
    if sys.platform == "win32":
        import ctypes

        # It is not in the stable ABI. Where it has gone, `time.sleep` of the main thread goes on.
        event = getattr(ctypes.pythonapi, "_PyOS_SigintEvent", None)
        if event is not None:
            event.restype = ctypes.c_void_p
            _waits_end_by(event() or 0)


def interrupt_main_thread(number: int) -> None:
    """Has the main thread run Python's handler of that signal. From any thread."""
    _interrupt_main_thread(number)


def raise_here(number: int) -> None:
    """Sends this process a signal."""
    if sys.platform == "win32":
        # `os.kill` would end it there, whatever handlers it has.
        signal.raise_signal(number)
    else:
        os.kill(os.getpid(), number)
