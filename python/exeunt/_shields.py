"""Blocks that a stop does not interrupt: what is Python about them.

Which block holds what off, and for how long, is decided by the core; here are the exceptions, the
hooks, and what tasks do.
"""

import ctypes
import signal
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from . import _ending, _leave, _signals
from ._native import ShutdownProtection
from ._native import _Shields as _core

if TYPE_CHECKING:
    import asyncio

__all__ = ["ShutdownProtection", "configure_shutdown_manager", "shield"]

# Imported here, and not by the first block: as long as that imports, signals act by default.
_AT_HAND = (ctypes, _ending, _leave, _signals)

# How often a task looks whether the blocks of others are over.
_TURN = 0.005

_hooks: dict[str, Callable[[], object]] = {}
_failures: list[tuple[str, BaseException]] = []
_terminates = threading.Lock()
_told_tasks: "WeakSet[asyncio.Task[Any]]" = WeakSet()


def configure_shutdown_manager(
    terminate_on_logoff: bool | None = None,
    terminate_on_hup: bool | None = None,
    max_exec_time: float | None = None,
    max_attempts: int | None = None,
    before_termination: "Callable[[], object] | bool | None" = None,
    before_hup: "Callable[[], object] | bool | None" = None,
) -> None:
    """Handles SIGINT, SIGTERM, SIGQUIT and SIGHUP from now on, and changes how.

    None keeps what was set before. `terminate_on_hup=False`: SIGHUP does not end the program.
    `terminate_on_logoff=False`: nor does the end of a user's session on Windows. `max_exec_time` is
    the time of blocks that are given none, in seconds (89.5 s, on Windows 4.5 s); beyond 90 s it is
    how far blocks may move the end, too. The signal number `max_attempts` (3) ends what is
    protected at once. `before_termination` is called once, directly before the exception,
    in the thread where that is raised; `before_hup` in the main thread, whenever SIGHUP comes,
    whether or not it ends the program. Both without arguments. Something false other than None
    removes the hook. What a hook raises is logged at the end (`logging.getLogger("exeunt")`), and
    changes nothing.

    In any thread; see `ShutdownProtection` for where the exceptions are raised.

    Raises `ValueError` for numbers that cannot be, `TypeError` for a hook that cannot be called,
    `OSError` without descriptors or threads.
    """
    wanted: dict[str, Callable[[], object] | None] = {}
    for name, hook in (("before_termination", before_termination), ("before_hup", before_hup)):
        if hook is None:
            continue
        if not hook:
            wanted[name] = None
        elif callable(hook):
            wanted[name] = hook
        else:
            raise TypeError(f"{name} is {hook!r}; it is a function without arguments, or False")
    _core.configure(
        max_exec_time,
        max_attempts,
        None if terminate_on_hup is None else bool(terminate_on_hup),
        None if terminate_on_logoff is None else bool(terminate_on_logoff),
    )
    for name, hook in wanted.items():
        if hook is None:
            _hooks.pop(name, None)
        else:
            _hooks[name] = hook
    _signals.install()


def shield(budget: float | None = None) -> ShutdownProtection:
    """A block like `ShutdownProtection(budget)`, with the exit statuses of the lifecycle (L14).

    After any of the signals it ends by `SystemExit(0)`, by `SystemExit(1)` where the block itself
    has raised an `Exception`, and where the end is forced by `SystemExit(128 + signal)`. `budget`
    is in seconds. Raises `ValueError` for one that cannot be.
    """
    return ShutdownProtection._native(budget)


class _ThreadInterrupt(KeyboardInterrupt):
    """`KeyboardInterrupt` for a thread other than the main one, which ends without a traceback."""


class _ThreadExit(SystemExit):
    """`SystemExit` for a thread other than the main one."""

    def __init__(self, code: int = 1) -> None:
        super().__init__(code)


def _exception(native: bool, failed: bool = False) -> BaseException:
    """The exception of the stop, for this thread, directly before it is raised.

    `failed`: the block that it leaves raised something itself.
    """
    _before_termination()
    signum, forced, _ = _core.cause()
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread:
        _end_quietly()
    if signum == signal.SIGINT and not forced and not native:
        return KeyboardInterrupt() if in_main_thread else _ThreadInterrupt()
    code = 1
    if native:
        code = 128 + signum if forced else int(failed)
    return SystemExit(code) if in_main_thread else _ThreadExit(code)


def _interrupt(threads: list[int]) -> None:
    """Raises it in other threads, at the next bytecode that they run."""
    import ctypes

    _before_termination()
    _end_quietly()
    signum, forced, _ = _core.cause()
    kind: type[BaseException] = _ThreadExit
    if signum == signal.SIGINT and not forced:
        kind = _ThreadInterrupt
    for thread in threads:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(kind))


def _before_termination() -> None:
    # Whoever is second, in another thread or in a handler within the hook, does not wait.
    if _terminates.acquire(blocking=False):
        _call("before_termination")


def _before_hup() -> None:
    _call("before_hup")


def _call(name: str) -> None:
    hook = _hooks.get(name)
    if hook is not None:
        try:
            hook()
        except BaseException as error:
            # Not logged here: this may be a signal handler, and the main thread in `logging`.
            _failures.append((name, error))


def _end_quietly() -> None:
    """A thread that is interrupted ends without a traceback, as one does that raises SystemExit."""
    before = threading.excepthook
    if getattr(before, "_is_exeunt", False):
        return

    def hook(args: threading.ExceptHookArgs) -> None:
        if not isinstance(args.exc_value, (_ThreadInterrupt, _ThreadExit)):
            before(args)

    hook._is_exeunt = True  # type: ignore[attr-defined]
    threading.excepthook = hook


def _is_told(task: "asyncio.Task[Any]") -> bool:
    return task in _told_tasks


async def _aenter(block: ShutdownProtection) -> ShutdownProtection:
    import asyncio

    task = asyncio.current_task()
    if task is None:
        block.__enter__()
        return block
    while True:
        try:
            if block._begin(task):
                return block
        except BaseException:
            _told_tasks.add(task)
            raise
        await asyncio.sleep(_TURN)


async def _aexit(block: ShutdownProtection, error: BaseException | None) -> None:
    import asyncio

    pending = block._end(error)
    if not pending:
        return
    task = asyncio.current_task()
    if task is not None:
        _told_tasks.add(task)
    # The exception would end the loop, and with it the tasks that are still in their blocks.
    while block._waits():  # noqa: ASYNC110 (threads cannot set an event of the loop's)
        await asyncio.sleep(_TURN)
    if not block._leaves():
        raise asyncio.CancelledError
    if pending == 2:
        raised = block._exception(error)
        raised.__context__ = error
        raise raised
