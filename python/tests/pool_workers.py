"""What the tests of ProcessPool run in its workers."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, NoReturn

from exeunt import ProcessPool


class Worker:
    """As a program would have it: a state, two ways of working, an update."""

    def __init__(self, factor: int = 1, log: str | None = None) -> None:
        self.factor = factor
        self.updates: list[int] = []
        self._log = log

    def start(self) -> None:
        self._note("start")

    def stop(self) -> None:
        self._note("stop")

    def _note(self, what: str) -> None:
        if self._log is not None:
            with Path(self._log).open("a") as log:
                log.write(f"{what} {os.getpid()}\n")

    def scale(self, value: int) -> int:
        return value * self.factor

    def update(self, factor: int) -> None:
        if factor < 0:
            raise ValueError(f"no factor: {factor}")
        self.updates.append(factor)
        self.factor = factor

    def slow_state(self, _number: int) -> tuple[int, int, list[int]]:
        """Takes so long that no worker does all."""
        time.sleep(0.01)
        return os.getpid(), self.factor, self.updates

    def pid(self) -> int:
        return os.getpid()

    def echo(self, value: Any) -> Any:
        return value

    def fail(self, text: str) -> NoReturn:
        raise LookupError(text)

    def fail_with(self, kind: str) -> NoReturn:
        if kind == "unpicklable":
            error = ValueError("it has a lock")
            error.lock = threading.Lock()  # type: ignore[attr-defined]
            raise error
        if kind == "one-way":
            raise OneWay(1, 2)
        if kind == "exit":
            sys.exit(7)
        raise KeyboardInterrupt

    def unpicklable(self) -> Any:
        return threading.Lock()

    def end(self, code: int) -> NoReturn:
        os._exit(code)

    def kill(self, signum: int = signal.SIGKILL) -> None:
        os.kill(os.getpid(), signum)
        time.sleep(60)

    def arrive(self, path: str) -> None:
        """Says that it is here, and stays."""
        Path(path).touch()
        time.sleep(60)

    def wait_for(self, path: str, gate: str) -> str:
        Path(path).touch()
        while not Path(gate).exists():
            time.sleep(0.005)
        return gate

    def finish_late(self, path: str) -> str:
        """Is told to leave, and finishes."""
        try:
            self.arrive(path)
        except SystemExit:
            return "made it"
        return "was never told"

    def ignore_sigterm(self, path: str) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self.arrive(path)

    def swallow(self, path: str) -> NoReturn:
        while True:
            try:
                self.arrive(path)
            except BaseException:
                continue

    def flood(self, size: int) -> None:
        sys.stderr.write("x" * size)
        sys.stderr.flush()

    def treacherous(self, how: str) -> "Treacherous":
        if how == "raised":
            raise Treacherous(how)
        return Treacherous(how)

    def fork(self) -> int:
        """A fork that goes on like its parent, and how it ended."""
        child = os.fork()
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) if child else 0

    def leave_child(self) -> int:
        """Leaves a process that has inherited all it can."""
        return subprocess.Popen(["sleep", "60"], close_fds=False).pid


class OneWay(Exception):  # noqa: N818
    """Can be pickled, and does not come back."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__(first)


class Treacherous(Exception):  # noqa: N818
    """Whoever unpickles it ends."""

    def __reduce__(self) -> tuple[Any, ...]:
        return sys.exit, (3,)


class FailingInit:
    """Fails in the way it is told to."""

    def __init__(self, how: str) -> None:
        if how == "raise":
            raise LookupError("no such table: orders")
        if how == "hang":
            time.sleep(60)
        if how == "exit":
            os.write(2, b"no licence\n")
            sys.exit(3)
        if how == "die":
            for _ in range(100):
                os.write(2, b"x" * 1000)
            os.write(2, b"the end\n")
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "start":
            return
        if how.startswith("once:"):
            with Path(how[5:]).open("a") as log:
                log.write("x")
            if Path(how[5:]).stat().st_size > 1:
                raise LookupError("only once")

    def start(self) -> None:
        raise LookupError("it does not start")

    def stop(self) -> None:
        sys.stderr.write("stopped what never started\n")

    def die(self) -> NoReturn:
        os._exit(1)


class FailingOnce(FailingInit):
    """Starts the first time, and never again."""

    def start(self) -> None: ...


class FailingStop(Worker):
    def stop(self) -> None:
        raise LookupError("it does not stop")


class HangingStop(Worker):
    def stop(self) -> None:
        while True:
            try:
                time.sleep(60)
            except BaseException:
                continue


def double(value: int) -> int:
    return 2 * value


def pid() -> int:
    return os.getpid()


def dispositions() -> dict[str, Any]:
    """What a worker's own children would start with, and more."""
    script = (
        "import signal, json\n"
        "print(json.dumps([signal.getsignal(s) == signal.SIG_DFL for s in (1, 3, 15)]))"
    )
    return {
        "mask": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "wakeup": signal.set_wakeup_fd(-1),
        "child": subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True
        ).stdout,
        "stdin": sys.stdin.read() if sys.stdin is not None else "",
        "sockets": sockets(),
    }


def nested() -> list[int]:
    """A pool in a worker."""
    with ProcessPool(workers=1, start_method="fork") as pool:
        return list(pool.map(double, [1, 2, 3]))


def sockets() -> int:
    """How many sockets this process has."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            found += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
        except OSError:
            continue
    return found
