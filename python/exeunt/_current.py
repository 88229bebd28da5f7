"""The program that runs here."""

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._app import App

__all__ = ["APP", "current", "current_app"]

APP: "ContextVar[App | None]" = ContextVar("exeunt_app", default=None)


def current() -> "App | None":
    """The program that this task or function belongs to; None outside of `exeunt.run`."""
    return APP.get()


def current_app() -> "App":
    """The program that this task or function belongs to.

    Raises `RuntimeError` outside of `exeunt.run`, `arun` and `lifespan`.
    """
    app = APP.get()
    if app is None:
        raise RuntimeError("no program of exeunt runs here: exeunt.run starts one")
    return app
