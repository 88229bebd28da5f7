"""What the tests of the pools share."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LONG = 30.0
"""Seconds that nothing takes; who waits so long has failed."""


def until(condition: Callable[[], object], what: str = "it") -> None:
    """Waits for a condition that comes true, sooner or later."""
    deadline = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < deadline, f"{what} never came"
        time.sleep(0.002)


class Gate:
    """Where jobs wait until a test lets them on."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self.waiting = threading.Semaphore(0)

    def __call__(self, value: object = None) -> object:
        self.waiting.release()
        assert self._open.wait(LONG)
        return value

    def arrived(self, number: int) -> None:
        """Waits until so many jobs have arrived."""
        for _ in range(number):
            assert self.waiting.acquire(timeout=LONG)

    def open(self) -> None:
        self._open.set()


@contextmanager
def handled(signum: int, handler: Callable[[], object]) -> Iterator[None]:
    """Calls `handler` at `signum`, as long as the block lasts."""
    before = signal.signal(signum, lambda *_: handler())
    try:
        yield
    finally:
        signal.signal(signum, before)


def run_script(script: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end."""
    return subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", script, *args],
        capture_output=True,
        text=True,
        timeout=LONG,
        check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )


def children() -> list[int]:
    """The children of this process, zombies included, but for multiprocessing's tracker."""
    while True:
        try:
            return [pid for task in Path("/proc/self/task").iterdir() for pid in children_of(task)]
        except (FileNotFoundError, ProcessLookupError):
            # A thread has ended, and another has its children now; or one of those was reaped.
            continue


def children_of(task: Path) -> list[int]:
    """Those that this thread has begun, or was left."""
    found = map(int, (task / "children").read_text().split())
    return [pid for pid in found if b"resource_tracker" not in command_of(pid)]


def command_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()
