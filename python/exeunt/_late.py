"""Signals that come when a program has stopped, but has not ended yet (P53)."""

import atexit
import os
import signal
import threading
from collections.abc import Iterable
from types import FrameType
from typing import Any

from ._main_thread import raise_here
from ._masks import block, restore

__all__ = ["keep_until_exit"]

_before: dict[int, Any] = {}
_left = 0


def keep_until_exit(numbers: Iterable[int], attempts_left: int) -> None:
    """Until the process ends these signals do nothing, but for number `attempts_left`, which does
    what it would have done.

    A program that was told to stop has stopped; who asks once more a moment later would find it in
    the interpreter's end, and kill it there.
    """
    global _left
    if threading.current_thread() is not threading.main_thread():
        return
    if not _before:
        atexit.register(_ignore)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=_about_to_fork, after_in_parent=_unmask, after_in_child=_forked
            )
    _left = max(attempts_left, 1)
    for number in numbers:
        before = signal.getsignal(number)
        if before is None or before is signal.SIG_IGN:
            continue
        if before is not _late:
            _before[number] = before
        signal.signal(number, _late)


def _late(number: int, _: FrameType | None) -> None:
    global _left
    _left -= 1
    if _left <= 0:
        signal.signal(number, _before[number])
        raise_here(number)


# By thread, since several may fork at once.
_masks: dict[int, set[int]] = {}


def _about_to_fork() -> None:
    # CPython forgets what has arrived in a child before its hooks run (`_PySignal_AfterFork`).
    _masks[threading.get_ident()] = block(_before)


def _unmask() -> None:
    mask = _masks.pop(threading.get_ident(), None)
    if mask is not None:
        restore(mask)


def _forked() -> None:
    # Nobody has told the child to stop (L17).
    for number, before in _before.items():
        if signal.getsignal(number) is _late:
            signal.signal(number, before)
    _unmask()


def _ignore() -> None:
    # The interpreter gives signals their default back, but for those that are ignored.
    for number in _before:
        if signal.getsignal(number) is _late:
            signal.signal(number, signal.SIG_IGN)
