"""Programs on Windows that tests start, deliver console events to, and read to the end."""

import os
import subprocess
import sys
import textwrap
import threading
from types import TracebackType

import pytest

PATIENCE = 120.0
"""Seconds that whatever is waited for may take on a machine under load."""

EVENTS = ("ctrl-c", "ctrl-break", "close", "logoff", "shutdown")

NUMBERS = {"ctrl-c": 2, "ctrl-break": 21, "close": 15, "logoff": 15, "shutdown": 15}
"""The signal that each stands for (L16)."""

only_windows = pytest.mark.skipif(sys.platform != "win32", reason="scripts/test-windows runs it")

LIMIT = "30000"
"""Milliseconds from one of the last three events to the end. Windows gives 5,000, which only the
machine's load could take longer than, and what is to be seen is not how fast this machine is."""

PRELUDE = """
import asyncio, os, signal, sys, threading, time
import exeunt
def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())
"""


class Program:
    """A Python program with `PRELUDE`, whose output is read as it comes."""

    def __init__(self, text: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", PRELUDE + textwrap.dedent(text), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.output = ""
        self._more = threading.Condition()
        self._is_over = False
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def __enter__(self) -> "Program":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()

    def deliver(self, event: str) -> str:
        """Has the program get it, and does to it what Windows does then.

        Says once the handler has "returned", or is "held". Behind the last three events the program
        is ended when the handler returns, or after `LIMIT`.
        """
        self._deliverer = subprocess.Popen(
            [os.environ["EXEUNT_CONSOLE_EVENT"], str(self._process.pid), event, LIMIT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with self._deliverer as deliverer:
            assert deliverer.stdout is not None
            said = deliverer.stdout.readline().strip()
        assert said, f"{event} was not delivered:\n{self.output}"
        return said

    def say(self, text: str) -> None:
        """Writes a line to its stdin."""
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode() + b"\n")
        self._process.stdin.flush()

    def until(self, text: str) -> None:
        """Waits until the line has been printed."""
        with self._more:
            came = self._more.wait_for(
                lambda: self._is_over or text in self.output.splitlines(), PATIENCE
            )
        assert came, f"{text!r} never came:\n{self.output}"
        assert text in self.output.splitlines(), self.output

    def end(self) -> int:
        """The exit status, once all it has to say is read."""
        try:
            status = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the program does not end:\n{self.output}") from None
        self._reader.join()
        return status

    @property
    def lines(self) -> list[str]:
        """What it has said."""
        return self.output.splitlines()

    def _read(self) -> None:
        assert self._process.stdout is not None
        while read := os.read(self._process.stdout.fileno(), 65536):
            with self._more:
                self.output += read.decode(errors="replace").replace("\r\n", "\n")
                self._more.notify_all()
        with self._more:
            self._is_over = True
            self._more.notify_all()
