"""What the proactor loop of Windows says of its own while it closes (P59)."""

import asyncio
import sys
from collections.abc import Callable
from typing import Any

__all__ = ["quiet_while_closing"]

_Handler = Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object]

_ABORTED = 995
"""ERROR_OPERATION_ABORTED: reading from the loop's own pipe was called off (bpo-39010)."""

_INVALID_HANDLE = 6
"""ERROR_INVALID_HANDLE: cancelling a read of the loop's own pipe came too late."""


def quiet_while_closing(loop: asyncio.AbstractEventLoop) -> None:
    """Suppresses those two, from now on; all else goes to the handler that was there before.

    For a loop that is about to close. Does nothing on other systems.
    """
    if sys.platform == "win32":
        suppress_in(loop)


def suppress_in(loop: asyncio.AbstractEventLoop) -> None:
    """The same, on any system."""
    before: _Handler | None = loop.get_exception_handler()

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, OSError) and _is_of_the_proactor(error):
            return
        if before is not None:
            before(loop, context)
        else:
            loop.default_exception_handler(context)

    loop.set_exception_handler(handle)


def _is_of_the_proactor(error: OSError) -> bool:
    # Not on other systems, where the errors of `OSError` have other numbers.
    number = getattr(error, "winerror", None)
    return number in (_ABORTED, _INVALID_HANDLE)
