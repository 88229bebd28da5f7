"""Programs that tests start, send signals to, and read to the end."""

import os
import select
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from types import TracebackType

from running import has_line

PATIENCE = 40.0
"""Seconds that whatever is waited for may take on a machine under load."""


class Program:
    """A Python program in a session of its own, whose output is read as it comes."""

    def __init__(self, program: str | Path, *arguments: str, python: str = sys.executable) -> None:
        named = [str(program)] if isinstance(program, Path) else ["-c", textwrap.dedent(program)]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        self._process = subprocess.Popen(
            [python, *named, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=environment,
        )
        self.pid = self._process.pid
        self.output = ""

    def __enter__(self) -> "Program":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process.poll() is None or self.is_group_alive():
            self.send(signal.SIGKILL, group=True)
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def send(self, number: int, *, group: bool = False) -> None:
        """Sends a signal to the program, or to all of its group."""
        try:
            (os.killpg if group else os.kill)(self.pid, number)
        except ProcessLookupError:
            return

    def until(self, text: str) -> None:
        """Reads on until `text` has been printed, and the rest of its line."""
        deadline = time.monotonic() + PATIENCE
        while not has_line(self.output.encode(), text.encode()):
            assert self._read(deadline), f"{text!r} never came:\n{self.output}"

    def pause(self) -> None:
        """Lets two signals be two: the kernel merges what is pending (signal(7))."""
        time.sleep(0.02)

    def end(self) -> int:
        """Reads to the end; the exit status, negative for a signal."""
        deadline = time.monotonic() + PATIENCE
        while self._read(deadline):
            pass
        return self._process.wait(PATIENCE)

    def is_group_alive(self) -> bool:
        """Whether any process of its group is left."""
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def _read(self, deadline: float) -> bool:
        assert self._process.stdout is not None
        left = deadline - time.monotonic()
        ready, _, _ = select.select([self._process.stdout], [], [], max(left, 0))
        assert ready, f"the program says no more, and does not end:\n{self.output}"
        read = os.read(self._process.stdout.fileno(), 65536)
        self.output += read.decode(errors="replace")
        return bool(read)
