"""Signals for Python programs: how they reach the lifecycle, and how they come back as exceptions.

A signal has two handlers. Ours, of the Rust core, is the one that the kernel calls, in whichever
thread: it writes down who sent the signal and when, for the signal thread of the core, which
decides what has become of the stop (L9, L10). Below it is Python's own, which notes the signal for
the main thread, where it interrupts what that waits in (`time.sleep`, `lock.acquire`, `input()`),
and where `_on_signal` then runs, as handlers in Python do. It waits the few microseconds until the
core has taken note of the signal, asks it what is to be done, and does it: nothing, since a block
is live; or raise the exception; or have it raised in another thread, whose block is over.

The core does not wait for Python, and has no need of the GIL. When something has happened that
Python is to look at (a block's time is over), it sends the main thread a signal that counts for
nothing, and `_on_signal` runs.

Python installs handlers in the main thread only (`signal.signal`). If the first block is entered in
another thread, our handlers are there at once, and Python's as soon as the main thread can be
interrupted (`exeunt/_lent.py`): at once, too, unless it sits in foreign code. Where SIGINT
is ignored, or has a handler of the program's, only a main thread that runs Python code, or waits
for a lock, can be had.

On Windows the core takes the console's events, and Python's handlers hear of none. In place of the
signal the main thread is told that there was a SIGBREAK, and what it waits in ends as far as a
Ctrl-C would end it (`_main_thread.py`). A handler that runs without that was called since the
program has raised the signal itself, which the core is told.

Whoever puts a handler of their own over ours later has the signal: nothing is raised for it, and
blocks do not hear of it. One that puts ours back (asyncio does not: it puts the default back) is
noticed at the next signal, which is not lost.
"""

import _thread
import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, ModuleType
from typing import TypeAlias

from ._main_thread import prepare
from ._native import _Shields as _core

__all__ = ["in_charge", "install"]

_Handler: TypeAlias = Callable[[int, FrameType | None], object] | int | signal.Handlers | None

_NAMES = ("SIGINT", "SIGTERM", "SIGQUIT", "SIGHUP", "SIGBREAK")
_SIGNALS = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))

# What was there before ours; empty until Python's handlers are in place.
_before: dict[int, _Handler] = {}

# Signals that came between Python's handlers and the core's.
_early: list[int] = []

# Signals that came while another thread had the main thread install Python's handlers.
_unseen: list[int] = []

# Those that are being answered: handlers run within handlers.
_came: list[int] = []

_lock = threading.Lock()
_is_installed = False
_asked_main_thread = False

# Who decides what a stop is to the main thread, outside blocks.
_owners: list[Callable[[int], object]] = []


def install() -> None:
    """Puts the handlers in place; nothing once they are.

    In any thread. Raises `OSError` without descriptors or threads.
    """
    global _is_installed
    # Interrupting a thread takes it, in a signal handler, which should not have to import it; and
    # at the interpreter's end nothing can be imported any more.
    import ctypes

    from . import _ending, _leave

    assert ctypes.pythonapi
    assert _leave
    prepare()
    if threading.current_thread() is threading.main_thread():
        _install_handlers()
        try:
            first = _core.conduct(threading.main_thread().ident or 0)
        except OSError:
            _restore()
            raise
        _is_installed = True
        early, seen = _early[:], _core.requested()
        _early.clear()
        _core.handled()
        for signum in early:
            if not seen:
                signal.raise_signal(signum)
    else:
        first = _core.conduct(threading.main_thread().ident or 0)
        _is_installed = True
        _ask_main_thread()
    if first:
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_forked)
        atexit.register(_ending.at_exit)


@contextmanager
def in_charge(owner: Callable[[int], object]) -> Iterator[None]:
    """While it is entered, `owner` is called with the signal, in place of the exception.

    In the main thread, when no block holds the signal off, and not when the end is forced.
    """
    _owners.append(owner)
    try:
        yield
    finally:
        _owners.remove(owner)


def wake_main_thread() -> None:
    """Has the main thread look what has become of the stop, as far as it runs Python code."""
    if not _before:
        _thread.interrupt_main()
    for signum in _before:
        if signal.getsignal(signum) is _on_signal:
            _thread.interrupt_main(signal.Signals(signum))
            return


def _install_handlers() -> None:
    if _before:
        return
    for signum in _SIGNALS:
        if _takes(signum):
            signal.signal(signum, _on_signal)


def _takes(signum: int) -> bool:
    # Ignored ones stay so (nohup), and a handler that is not Python's could not be put back.
    before = signal.getsignal(signum)
    if before in (signal.SIG_IGN, None):
        return False
    _before[signum] = before
    return True


def _restore() -> None:
    """Puts back what was there before, unless somebody has put theirs over ours."""
    for signum, before in _before.items():
        if signal.getsignal(signum) is _on_signal:
            signal.signal(signum, before)
    _before.clear()


def _on_signal(signum: int, frame: FrameType | None) -> None:
    if _asked_main_thread and _lent().is_inside(frame):
        # What this raised would be lost. The core has the main thread look again.
        _unseen.append(signum)
        return
    _came.append(signum)
    if len(_came) > 1:
        # Within another: what this one raised would end a hook, or us, and be lost.
        return
    try:
        raised = None
        for signum in _came:
            raised = _answer(signum, frame) or raised
    finally:
        _came.clear()
    if raised is not None:
        raise raised


def _answer(signum: int, frame: FrameType | None) -> BaseException | None:
    """What the main thread is to leave by."""
    if not _is_installed:
        _early.append(signum)
        return None
    if sys.platform == "win32":
        _core.raised(signum)
    elif _core.renew(signum):
        # Somebody had put theirs over ours and taken it back: the core has not seen this one.
        signal.raise_signal(signum)
        return None
    from . import _ending, _shields

    if signum == getattr(signal, "SIGHUP", None):
        _shields._before_hup()
    if _is_delayed():
        # Whoever leaves the last of those blocks has us look again, and is to find this one there.
        _core.settle()
        return None
    action, threads = _core.look()
    if threads:
        _shields._interrupt(threads)
    if not action:
        return None
    cause, forced, drop_in = _core.cause()
    if _owners and not forced:
        _owners[-1](cause)
        return None
    if _ending.is_over(frame):
        answered = len(_came)
        _ending.leave(forced, lambda: len(_came) > answered)
        return None
    # The threads that leave come first: `join` cannot be interrupted just when its thread ends (it
    # would release that thread's lock twice, up to Python 3.12).
    while _core.leaving() and len(_came) == 1:
        time.sleep(0.001)
    return _shields._exception(not drop_in)


def _is_delayed() -> bool:
    """Whether somebody is in a block of `DelayedKeyboardInterrupt`."""
    held = sys.modules.get("exeunt._held")
    return held is not None and bool(held.is_blocking())


def look_again() -> None:
    """The last block of `DelayedKeyboardInterrupt` has been left."""
    if _core.requested():
        wake_main_thread()


def _ask_main_thread() -> None:
    """Has Python's handlers installed in the main thread."""
    global _asked_main_thread
    with _lock:
        if _asked_main_thread or _before:
            return
        lending = _lent()
        _asked_main_thread = True
    lent = lending.lend(_in_main_thread)
    if not lent:
        lending.call_pending(_in_main_thread)
        if hasattr(signal, "siginterrupt"):
            # It may wait for a lock, and runs what is pending when that is interrupted.
            for signum in _SIGNALS:
                if signal.getsignal(signum) is signal.SIG_DFL:
                    signal.siginterrupt(signum, True)
    _core.interrupt(lent)


def _lent() -> ModuleType:
    # Seldom needed.
    from . import _lent

    return _lent


def _in_main_thread() -> None:
    if threading.current_thread() is not threading.main_thread() or _before:
        return
    _core.installing()
    try:
        _have_handlers_run()
        for signum in _SIGNALS:
            if not _takes(signum):
                continue
            _unseen.clear()
            signal.signal(signum, _on_signal)
            _core.renew(signum)
            _have_handlers_run()
            if signum in _unseen:
                # It came between the two, and so to Python alone.
                signal.raise_signal(signum)
    finally:
        _core.handled()


def _have_handlers_run() -> None:
    """What has come is answered where a loop goes back, at the latest."""
    for _ in range(2):
        pass


def _forked() -> None:
    _core.forked()
    _restore()
    _owners.clear()
    _came.clear()
