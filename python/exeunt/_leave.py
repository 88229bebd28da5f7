"""The end of a process that something would keep: threads, tasks, or code that does not return."""

import logging
import os
import sys
import threading
from collections.abc import Callable
from types import FrameType

from ._native import _Shields as _core

__all__ = ["end_process", "holding_threads", "where"]

_log = logging.getLogger("exeunt")

_LAST_WORDS = 1.0
"""Seconds that flushing may take: no pipe that nobody reads, and no lock, keeps the process."""


def end_process(status: int, say: Callable[[], None]) -> None:
    """Ends the process at once: `say` and flushing have 1 s, and nothing else runs."""
    # The core's thread: Python starts none at the interpreter's end, and may not get the GIL back.
    _core.end_in(_LAST_WORDS, status)
    try:
        _flush(say)
    finally:
        os._exit(status)


def _flush(say: Callable[[], None]) -> None:
    # Without a terminal, or once it is closed, there may be no stream at all.
    streams = [stream.flush for stream in (sys.stdout, sys.stderr) if stream is not None]
    for act in (say, _end_children, *streams, logging.shutdown):
        try:
            act()
        except Exception:
            # None of it may keep the others from their turn.
            continue


def _end_children() -> None:
    """As `multiprocessing` does at an exit that runs its hooks."""
    multiprocessing = sys.modules.get("multiprocessing")
    if multiprocessing is not None:
        for child in multiprocessing.active_children():
            if child.daemon:
                child.terminate()


def holding_threads(known: frozenset[threading.Thread]) -> list[threading.Thread]:
    """Threads that the interpreter would wait for at its end, but for those in `known`.

    Workers of executors that have nothing to do are none of them: its hook wakes and ends them.
    """
    frames = sys._current_frames()
    return [
        thread
        for thread in threading.enumerate()
        if not thread.daemon
        and thread.is_alive()
        and thread not in known
        and thread is not threading.main_thread()
        and thread is not threading.current_thread()
        and not _is_idle_worker(frames.get(thread.ident or 0))
    ]


def where(thread: threading.Thread) -> str:
    """The thread's name, and what it is doing."""
    frame = sys._current_frames().get(thread.ident or 0)
    if frame is None:
        return thread.name
    code = frame.f_code
    return f"{thread.name}, in {code.co_name} ({code.co_filename}:{frame.f_lineno})"


def _is_idle_worker(frame: FrameType | None) -> bool:
    return (
        frame is not None
        and frame.f_code.co_name == "_worker"
        and frame.f_globals.get("__name__") == "concurrent.futures.thread"
    )
