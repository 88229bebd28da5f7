"""Programs as processes of their own: started, watched, signalled, and always ended."""

import os
import select
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

PATIENCE = 30.0
"""How long a condition may take, in seconds: far more than it ever does."""


def begin_as_in_a_terminal() -> None:
    """Gives this process, and so what it starts, the signals of a program in a terminal.

    A shell without job control has its background jobs ignore SIGINT and SIGQUIT (POSIX, XCU 2.11),
    nohup SIGHUP, and some supervisors block signals: all of it is inherited through execve(2).
    """
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE}:
            if number != signal.SIGXFSZ and signal.getsignal(number) is signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def has_line(read: bytes, wanted: bytes) -> bool:
    """Whether that has been read, and the line whole that it ends in."""
    begin = read.find(wanted)
    return begin >= 0 and b"\n" in read[begin + len(wanted) - 1 :]


class Program:
    """A Python program that runs."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._read = b""

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_for(self, text: str) -> str:
        """What it has written so far, as soon as `text` is among that, with the rest of its line.

        `print` writes its arguments and the end of the line one by one where nothing is buffered.
        """
        wanted = text.encode()
        deadline = time.monotonic() + PATIENCE
        while not has_line(self._read, wanted):
            assert self._process.stdout is not None
            left = max(deadline - time.monotonic(), 0)
            ready, _, _ = select.select([self._process.stdout], [], [], left)
            more = os.read(self._process.stdout.fileno(), 65536) if ready else b""
            if not more:
                raise AssertionError(f"no {text!r} in {self._read.decode()!r}")
            self._read += more
        return self._read.decode()

    def say(self, text: str) -> None:
        """Writes to its stdin."""
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode())
        self._process.stdin.flush()

    def kill(self, what: signal.Signals = signal.SIGTERM) -> None:
        self._process.send_signal(what)

    def wait_until_taken(self, what: signal.Signals) -> None:
        """Until that signal is not pending there any more, or it has ended (proc(5), `ShdPnd`)."""
        deadline = time.monotonic() + PATIENCE
        while self.is_running and time.monotonic() < deadline:
            with open(f"/proc/{self.pid}/status") as status:
                fields = dict(line.split(":", 1) for line in status)
            if not int(fields.get("ShdPnd", "0"), 16) & 1 << (what - 1):
                return

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def end(self) -> tuple[int, str]:
        """Its status (minus the signal, if one ended it) and all it has written, once it ended."""
        out, _ = self._process.communicate(timeout=PATIENCE)
        self._read += out
        return self._process.returncode, self._read.decode()


@contextmanager
def program(
    text: str | None = None,
    *,
    argv: Sequence[str] = (),
    env: dict[str, str] | None = None,
    prefix: Sequence[str] = (),
    new_group: bool = True,
) -> Iterator[Program]:
    """Runs that text, or that script with its arguments, and kills what is left in the end."""
    command = [*prefix, sys.executable, "-u"]
    command += ["-c", textwrap.dedent(text)] if text is not None else []
    process = subprocess.Popen(
        [*command, *argv],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **(env or {})},
        start_new_session=new_group,
    )
    try:
        yield Program(process)
    finally:
        process.kill()
        process.communicate()
