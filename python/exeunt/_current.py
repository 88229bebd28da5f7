"""The program that runs here."""

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._app import App

__all__ = ["APP", "current"]

APP: "ContextVar[App | None]" = ContextVar("exeunt_app", default=None)


def current() -> "App | None":
    """The program that this task or function belongs to; None outside of `exeunt.run`."""
    return APP.get()
