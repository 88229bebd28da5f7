"""The event loop: a drop-in for programs that were written for the Mongoose event model."""

from .._native import Connection, HttpMessage, Manager
from ._events import MG_EV_HTTP_MSG

__all__ = ["MG_EV_HTTP_MSG", "Connection", "HttpMessage", "Manager"]
