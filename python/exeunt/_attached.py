"""A pool's part in a lifecycle: its jobs are counted work, and the drain is its stop (P63)."""

import selectors
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol

from ._phase import Phase

if TYPE_CHECKING:
    from ._app import App
    from ._lifecycle import Lifecycle, Work


# Without a descriptor of its own, which forked children would have, too.
_Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)


class Core(Protocol):
    """What is to be stopped."""

    name: str

    def ask(self, *, drain: bool, timeout: float) -> None: ...
    def is_over(self) -> bool: ...
    def wait(self, timeout: float | None) -> None: ...
    def settle_up(self, *, cut: bool = False) -> object: ...


class Attachment:
    """Follows a lifecycle in a thread, until that drains or the pool has ended."""

    def __init__(self, lifecycle: "Lifecycle | App", kind: str, *, hand_back: bool) -> None:
        engine: Any = getattr(lifecycle, "lifecycle", None) or lifecycle
        self._lifecycle: Lifecycle = engine
        self._kind = kind
        self._hand_back = hand_back
        self._ear, self._bell = socket.socketpair()

    def work(self, name: str, scope: str) -> "Work":
        """Counts a job."""
        return self._lifecycle.work(name, self._kind, scope=scope)

    def follow(self, core: Core) -> None:
        """Begins to."""
        name = f"{core.name}-stop"
        threading.Thread(target=self._run, args=(core,), name=name, daemon=True).start()

    def end(self) -> None:
        """The pool has ended. May be called in a signal handler."""
        self._bell.close()

    def _run(self, core: Core) -> None:
        lifecycle = self._lifecycle
        with self._ear, lifecycle.watch() as watch, _Selector() as selector:
            selector.register(watch.fileno(), selectors.EVENT_READ)
            selector.register(self._ear, selectors.EVENT_READ)
            while lifecycle.phase < Phase.DRAINING:
                if core.is_over():
                    return
                selector.select()
                watch.seen()
        deadline = lifecycle.drain_deadline
        left = 0.0 if deadline is None else max(0.0, deadline - time.monotonic())
        core.ask(drain=not self._hand_back, timeout=left)
        core.wait(left)
        core.settle_up(cut=True)
