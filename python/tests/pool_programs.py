"""Runs a program with workers, sends it signals, and sees what it leaves."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO

from pools import LONG, until

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "python"


class Program:
    """A program in a session of its own, as a terminal would have it."""

    def __init__(self, *command: str, strict: bool = True) -> None:
        with ExitStack() as files:
            self._out = files.enter_context(tempfile.TemporaryFile("w+"))
            self._err = files.enter_context(tempfile.TemporaryFile("w+"))
            self._files = files.pop_all()
        self.process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", *(["-W", "error"] if strict else []), *command],
            stdout=self._out,
            stderr=self._err,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self.errors = ""
        self.said: list[str] = []

    def await_line(self, line: str) -> None:
        """Waits until it says this."""

        def is_said() -> bool:
            return line in self._read(self._out).splitlines() or self.process.poll() is not None

        until(is_said, repr(line))
        assert line in self._read(self._out).splitlines(), self._read(self._err)

    def await_match(self, pattern: str) -> str:
        """Waits until it says that, and gives the pattern's group."""

        def found() -> re.Match[str] | None:
            return re.search(pattern, self._read(self._out))

        until(lambda: found() or self.process.poll() is not None, repr(pattern))
        match = found()
        return match[1] if match is not None else ""

    def told(self) -> str:
        """All that it has said so far."""
        return self._read(self._out) + self._read(self._err)

    def _read(self, file: IO[str]) -> str:
        # Its offset is the program's, too.
        size = os.fstat(file.fileno()).st_size
        return os.pread(file.fileno(), size, 0).decode()

    def send(self, signum: int, *, group: bool = False) -> None:
        """To the process, or to all of its group, as the terminal does."""
        if self.process.poll() is None:
            # It may end just now.
            with suppress(ProcessLookupError):
                (os.killpg if group else os.kill)(self.process.pid, signum)

    def end(self) -> int:
        """Waits until it has ended; gives its exit status."""
        status = self.process.wait(LONG)
        self.errors = self._read(self._err)
        self.said = self._read(self._out).splitlines()
        return status

    def left(self) -> list[str]:
        """Who is left of its session."""
        found = []
        for directory in Path("/proc").iterdir():
            if directory.name.isdigit() and int(directory.name) != self.process.pid:
                try:
                    stat = (directory / "stat").read_text()
                    state, _, _, session = stat.rsplit(")", 1)[1].split()[:4]
                    if int(session) != self.process.pid or state == "Z":
                        continue
                    command = (directory / "cmdline").read_bytes().replace(b"\0", b" ")
                except OSError:
                    continue
                found.append(command.decode(errors="replace"))
        return found

    def numbers(self, word: str) -> list[int]:
        """What it has said after this word."""
        found = [line.split()[1] for line in self.said if line.startswith(word + " ")]
        return sorted(map(int, found))

    def kill(self) -> None:
        """Ends all of it, whatever it is at."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._files.close()
