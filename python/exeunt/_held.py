"""What the blocks of `DelayedKeyboardInterrupt` share in a process (P50 to P52).

Only the main thread installs handlers and only it runs them (CPython's documentation of `signal`,
"Signals and threads"); blocks are entered and left anywhere. Lists and deques are appended to and
popped from in one step, so that a handler may run between any two lines here without a lock.
"""

import atexit
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from types import FrameType
from typing import Any

from ._main_thread import raise_here
from ._masks import block as block_signals
from ._masks import restore, take_pending
from ._native import _is_handled

__all__ = ["SIGNALS", "Block", "enter", "is_blocking", "is_held", "leave"]

if sys.platform == "win32":
    SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGBREAK)
else:
    SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""The signals that are held back. On Windows programs ask each other to stop by SIGBREAK."""


class Block:
    """One block that somebody has entered."""

    __slots__ = ("__weakref__", "left", "propagate", "thread")

    def __init__(self, propagate: bool | None) -> None:
        self.propagate = propagate
        self.thread = threading.get_ident()
        self.left: Callable[[], None] | None = None
        """Called when it is left, before the signals act."""


_blocks: list[Block] = []
# By signal, the handler that ours has replaced.
_before: dict[int, Any] = {}
_held: deque[tuple[int, FrameType | None]] = deque()


def enter(propagate: bool | None) -> Block:
    """Begins a block; from the return on, the signals are held back."""
    block = Block(propagate)
    _blocks.append(block)
    if _in_main():
        try:
            while not _are_installed():
                pass
        except BaseException:
            # A handler that was there before has acted in between: we never began.
            leave(block, None)
            raise
    return block


def leave(block: Block, error: BaseException | None) -> None:
    """Ends a block, whose code has raised `error`; the last one lets the signals act."""
    if block not in _blocks:
        return  # begun in the process that this one was forked from
    if block.left is not None:
        block.left()
    _blocks.remove(block)
    if _blocks:
        return
    try:
        if not _in_main():
            if _held:
                _send_again()
            return
        try:
            if error is None:
                _act_on_held()
        finally:
            _put_back_all(error)
    finally:
        signals = sys.modules.get("exeunt._signals")
        if signals is not None:
            signals.look_again()


def is_blocking() -> bool:
    """Whether anybody is in a block."""
    return bool(_blocks)


def is_held(number: int) -> bool:
    """Whether that signal is held back now."""
    return number in _before and bool(_blocks)


def _put_back_all(error: BaseException | None) -> None:
    """A signal that comes meanwhile is blocked: CPython forgets one whose handler is changed."""
    mask = block_signals(SIGNALS)
    try:
        if error is not None:
            _held.extend((number, None) for number in _take_pending())
        for number in SIGNALS:
            _put_back(number)
        if error is None:
            _act_on_held()
        elif _held:
            _send_again()
    finally:
        restore(mask)


def _take_pending() -> list[int]:
    """What is blocked, and would call a handler: it is not pending any more."""
    return take_pending(each for each in SIGNALS if callable(_before.get(each)))


def _are_installed() -> bool:
    """False if an interrupt has come in between: a block that has begun holds that, too."""
    try:
        for number in SIGNALS:
            _install(number)
    except KeyboardInterrupt:
        before = _before.get(signal.SIGINT, signal.getsignal(signal.SIGINT))
        if before is not signal.default_int_handler:
            raise
        _held.append((signal.SIGINT, None))
        return False
    return True


def _install(number: int) -> None:
    before = signal.getsignal(number)
    # None: whoever handles it is not Python, and puts back what he found, not what we leave.
    if before is None or before is signal.SIG_IGN or before is _hold:
        return
    if _is_handled(number):
        # A lifecycle has it, and raises nothing in a block; a handler of ours would make it deaf.
        return
    _before[number] = before
    signal.signal(number, _hold)


def _put_back(number: int) -> None:
    if number in _before and _is_handled(number):
        # By a lifecycle that came later. Once it has gone, ours is back, and hands on.
        return
    before = _before.pop(number, None)
    if before is not None and signal.getsignal(number) is _hold:
        signal.signal(number, before)


def _hold(number: int, frame: FrameType | None) -> None:
    if _blocks:
        _held.append((number, frame))
    elif _is_here(frame):
        # What a hook of a fork raises would be printed and forgotten.
        _held.append((number, frame))
        _send_again()
    else:
        # A thread's block was the last, and threads cannot put handlers back.
        before = _before.get(number, signal.SIG_DFL)
        _put_back(number)
        _act(before, number, frame)


def _act_on_held() -> None:
    """All of them act, even if one raises; what the first raises leaves."""
    raised: BaseException | None = None
    last: list[int] = []
    while _held:
        number, frame = _held.popleft()
        before = _before.get(number)
        if before is None:
            before = signal.getsignal(number)
        if not callable(before):
            # It ends the process, and so comes behind what still can be called.
            last.append(number)
            continue
        try:
            _act(before, number, frame)
        except BaseException as error:
            raised = raised or error
    for number in last:
        _put_back(number)
        _act(signal.SIG_DFL, number, None)
    if raised is not None:
        raise raised


def _act(before: Any, number: int, frame: FrameType | None) -> None:
    if callable(before):
        before(number, frame)
    elif before is signal.SIG_DFL:
        signal.signal(number, signal.SIG_DFL)
        raise_here(number)


def _send_again() -> None:
    """Sends the signals to the main thread once it has left this package.

    Sent from here, they would raise here, and mask the exception that is on its way.
    """
    numbers = []
    while _held:
        numbers.append(_held.popleft()[0])
    _send_later(numbers)


def _send_later(numbers: list[int]) -> None:
    threading.Thread(target=_send, args=(numbers,), name="exeunt-send-again", daemon=True).start()


def _send(numbers: list[int]) -> None:
    main = threading.main_thread().ident
    assert main is not None
    while _is_here(sys._current_frames().get(main)):
        time.sleep(0.0005)
    for number in numbers:
        if sys.platform != "win32":
            signal.pthread_kill(main, number)
        else:
            raise_here(number)


_DELAYED = os.path.join(os.path.dirname(__file__), "_delayed.py")


def _is_here(frame: FrameType | None) -> bool:
    for _ in range(8):
        if frame is None:
            return False
        if frame.f_code.co_filename in (__file__, _DELAYED):
            return True
        frame = frame.f_back
    return False


def _in_main() -> bool:
    return threading.current_thread() is threading.main_thread()


# By thread, since several may fork at once.
_masks: dict[int, set[int]] = {}


def _about_to_fork() -> None:
    """Until the child has its handlers, what is sent to it waits in the kernel.

    CPython forgets what has arrived in a child before its hooks run (`_PySignal_AfterFork`).
    """
    if _before:
        _masks[threading.get_ident()] = block_signals(SIGNALS)


def _unmask() -> None:
    mask = _masks.pop(threading.get_ident(), None)
    if mask is not None:
        restore(mask)


def _forked() -> None:
    """In a forked child: what was begun in the parent ends, unless it was to go on (L17).

    Until the last line signals are blocked. CPython would forget one that came while its handler
    is changed, and one that raised in here would be printed and forgotten.
    """
    _held.clear()
    here = threading.get_ident()
    quiet = bool(_blocks) and _blocks[-1].propagate is None and _is_starting_worker()
    _blocks[:] = [block for block in _blocks if block.propagate and block.thread == here]
    if not _blocks and _before:
        if quiet:
            _end_quietly_until_it_runs()
        again = _take_pending()
        for number in SIGNALS:
            _put_back(number)
        if again:
            _send_later(again)
    _unmask()


def _is_starting_worker() -> bool:
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_globals.get("__name__") == "multiprocessing.popen_fork":
            return True
        frame = frame.f_back
    return False


class _Token:
    """`multiprocessing` keeps a weak reference to it."""


_token = _Token()


def _end_quietly_until_it_runs() -> None:
    """Lets SIGINT end this child without a traceback until `Process.run` is called.

    Between the fork and there lies code of `multiprocessing` alone, which prints what it does not
    expect.
    """
    if _before.get(signal.SIGINT) is not signal.default_int_handler:
        return

    def restore(_: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)

    _before[signal.SIGINT] = signal.SIG_DFL
    sys.modules["multiprocessing.util"].register_after_fork(_token, restore)


def _wait_for_blocks() -> None:
    """A block in a daemon thread is finished before the interpreter goes."""
    here = threading.get_ident()
    while any(block.thread != here for block in _blocks):
        time.sleep(0.005)


atexit.register(_wait_for_blocks)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_about_to_fork, after_in_parent=_unmask, after_in_child=_forked)
