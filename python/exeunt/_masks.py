"""Signals that wait in the kernel for a moment (pthread_sigmask(3)). On Windows none is blocked."""

import signal
import sys
from collections.abc import Iterable

__all__ = ["block", "restore", "take_pending"]


def block(numbers: Iterable[int]) -> set[int]:
    """Blocks them in this thread; what `restore` needs to have it as it was."""
    if sys.platform == "win32":
        return set()
    return {int(each) for each in signal.pthread_sigmask(signal.SIG_BLOCK, numbers)}


def restore(mask: set[int]) -> None:
    """Has the thread block what it blocked before."""
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def take_pending(numbers: Iterable[int]) -> list[int]:
    """Those of them that are blocked and have come: they are not pending any more."""
    if sys.platform == "win32":
        return []
    pending = signal.sigpending()
    taken = [int(each) for each in numbers if each in pending]
    for number in taken:
        signal.sigwait({number})
    return taken
