"""SIGINT of a program, which loops within it leave alone (P53)."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["kept_from_loops"]


@contextmanager
def kept_from_loops() -> Iterator[None]:
    """For the main thread, around a lifecycle.

    `asyncio.run` puts its own handler over that of Python, and over no other
    (`asyncio.Runner.run`). It would take the signal from the lifecycle.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    finally:
        _put_back()


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.default_int_handler(number, frame)


def _put_back() -> None:
    if signal.getsignal(signal.SIGINT) is _interrupt:
        signal.signal(signal.SIGINT, signal.default_int_handler)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_put_back)
