"""`exeunt.run`: a program from its start to its exit status (P53)."""

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, overload

from ._embed import arun, last_report, lifespan, spawn
from ._program import Program

__all__ = ["arun", "last_report", "lifespan", "run", "spawn"]

_T = TypeVar("_T")

_Factory = Callable[[], asyncio.AbstractEventLoop]


@overload
def run(
    main: Callable[..., Coroutine[Any, Any, _T]] | Coroutine[Any, Any, _T],
    *,
    grace: float = ...,
    lame_duck: float = ...,
    max_attempts: int = ...,
    loop_factory: _Factory | None = ...,
    **more: Any,
) -> _T: ...
@overload
def run(
    main: Callable[..., _T],
    *,
    grace: float = ...,
    lame_duck: float = ...,
    max_attempts: int = ...,
    loop_factory: _Factory | None = ...,
    **more: Any,
) -> _T: ...
def run(
    main: Callable[..., Any] | Coroutine[Any, Any, Any],
    *,
    grace: float = 25.0,
    lame_duck: float = 0.0,
    max_attempts: int = 3,
    loop_factory: _Factory | None = None,
    **more: Any,
) -> Any:
    """Runs a program until its main function returns or it is told to stop, and stops it well.

    `main` is a coroutine, or a function, async or not; if it wants an argument it is given the
    `App`. The first stop signal (SIGHUP, SIGINT, SIGQUIT, SIGTERM) sets `app.stop`; what is in
    flight then has until the drain deadline, and is cancelled there; components close in reverse
    order; at the hard deadline, `grace` seconds after the signal, the process ends, whatever still
    runs. `lame_duck` (in seconds) and the further arguments are those of `exeunt.Lifecycle`;
    `loop_factory` makes the event loop (`uvloop.new_event_loop`, say).

    Returns what main returned, if all ended well; raises what main raised; and raises `SystemExit`
    with the exit status otherwise: 128 + the signal's number if the end was forced (the third
    signal), 1 if something failed, 3 if something was cut (L14). A sync main that takes no argument
    cannot be told, and is interrupted by `KeyboardInterrupt`, which ends it well; one that does is
    interrupted at the drain deadline.

    Behind a stop by a signal, further ones do nothing until the process ends, but for the third,
    which does what it would have done without `exeunt`.

    A thread that does not end, a task that swallows its cancellation, or code that blocks the loop
    does not keep the process past the hard deadline: it is named in the log, output is flushed, and
    the process ends without running exit handlers. For that it has to be called in the main thread;
    in another it raises in place of ending the process.

    Raises `RuntimeError` where a loop runs already: there, `await exeunt.arun(main)`.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        if inspect.iscoroutine(main):
            main.close()
        raise RuntimeError("an event loop runs in this thread: await exeunt.arun(main) there")
    times = {"grace": grace, "lame_duck": lame_duck, "max_attempts": max_attempts}
    return Program({**times, **more}, loop_factory).run(main)
