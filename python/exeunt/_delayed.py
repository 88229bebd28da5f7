"""`DelayedKeyboardInterrupt`: a block in which SIGINT and SIGTERM wait for its end (P50)."""

from types import TracebackType

from ._held import Block, enter, leave
from ._wakeups import hold_wakeups

__all__ = ["DelayedKeyboardInterrupt"]


class DelayedKeyboardInterrupt:
    """Holds SIGINT and SIGTERM back until the block is left; then they act as they would have.

    All that arrived are kept, in their order, and the handlers that were there before are called
    once the outermost block is left: Python's own raises `KeyboardInterrupt`, one of the program's
    does what it does, and where there was none the signal takes its default action. What is
    ignored stays ignored. An exception that the block itself raises leaves it as it is; the
    signals are then sent again, at once, to whoever handles it.

    The same object may be entered again, also while it is in use. `async with` does the same as
    `with`; there, what a loop's `add_signal_handler` would do waits, too.

    Handlers run in the main thread alone, so a block in another thread holds back what the main
    thread would do. It can do so if the main thread is in a block when it begins; otherwise it is
    waited for at the end of the interpreter, even if its thread is a daemon.

    `propagate_to_forked_processes` says what the block is to a child that is forked inside it:

    - `None`: nothing. The handlers that were there before act in the child, from its first moment
      on. A child of `multiprocessing` that is interrupted before its own code has begun ends by
      the signal, without a traceback.
    - `False`: nothing. The handlers that were there before act, whatever they do.
    - `True`: the block goes on in the child, and holds back what the child gets until the child
      leaves it. One that never leaves it (`multiprocessing` never does) can only be killed.

    Children that are spawned start anew, and know nothing of it.
    """

    __slots__ = ("_entered", "_propagate")

    def __init__(self, propagate_to_forked_processes: bool | None = None) -> None:
        self._propagate = propagate_to_forked_processes
        self._entered: list[Block] = []

    def __enter__(self) -> "DelayedKeyboardInterrupt":
        self._entered.append(enter(self._propagate))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        leave(self._entered.pop(), error)

    async def __aenter__(self) -> "DelayedKeyboardInterrupt":
        block = enter(self._propagate)
        self._entered.append(block)
        hold_wakeups(block)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        leave(self._entered.pop(), error)
