"""A sync main function, in the main thread, that a stop interrupts (P53)."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ._components import call, wants_value
from ._lifecycle import Phase
from ._stopping import is_by_stop

if TYPE_CHECKING:
    from ._app import App
    from ._guard import Guard

__all__ = ["run_sync"]


def run_sync(
    app: "App", guard: "Guard | None", main: Callable[..., Any]
) -> tuple[Any, BaseException | None]:
    """What it returned, or what it raised that is not by the stop.

    One that takes the `App` is told by it, and interrupted at the drain deadline; another is
    interrupted at the stop request.
    """
    told = wants_value(main)
    lifecycle = app.lifecycle
    interrupted = False

    def stuck() -> BaseException | None:
        if lifecycle.phase >= (Phase.CLOSING if told else Phase.LAME_DUCK):
            return KeyboardInterrupt("the program is to stop")
        return None

    pid = os.getpid()
    work = lifecycle.work("main", "body", scope="main")
    result: Any = None
    raised: BaseException | None = None
    try:
        if guard is None:
            result = call(main, app)
        else:
            with guard.told(stuck):
                result = call(main, app)
    except KeyboardInterrupt as error:
        interrupted = True
        if not lifecycle.is_stopping:
            raised = error
    except SystemExit as error:
        raised = error
    except BaseException as error:
        if not is_by_stop(error):
            raised = error
            if os.getpid() == pid:
                lifecycle.fail("main", f"{type(error).__name__}: {error}")
    if interrupted and work.is_cut:
        work.cut()
    else:
        work.done()
    return result, raised
