"""How a worker process is started: by `spawn`, or by `fork`.

Processes are started by the thread of the pool that looks after them, and that stays until they are
reaped: the kernel kills them when that thread ends (`PR_SET_PDEATHSIG`, prctl(2)), and so when this
process is killed.
"""

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from multiprocessing import process as mp_process
from multiprocessing import resource_tracker, spawn
from pathlib import Path
from typing import Any, Protocol

from . import _wire
from ._guard import block
from ._worker import Target, Worker

_PACKAGE = str(Path(__file__).resolve().parents[2])


@dataclass(frozen=True)
class Plan:
    """What all workers of a pool have in common."""

    target: Target
    payload: bytes
    """The same, pickled; empty where it is inherited."""
    preparation: dict[str, Any] | None
    mask: list[int]
    """The signals that are blocked in a worker."""
    bootstrap_timeout: float
    ready_timeout: float


class Process(Protocol):
    """A worker's process, as the pool sees it."""

    pid: int
    pidfd: int
    """Can be read from once the process has ended; -1 where the system has no such thing."""

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None as long as it runs."""
        ...

    def signal(self, signum: int) -> None:
        """Sends it a signal, if it still runs."""
        ...

    def close(self) -> None:
        """Forgets it; it has ended."""
        ...


@dataclass
class Launched:
    """A process that was just started, and what connects us with it."""

    process: Process
    end: socket.socket
    stderr: _wire.Descriptor
    """What it says until it is ready; to be read from."""


class Launcher(Protocol):
    """A way of starting processes."""

    def launch(self, name: str) -> Launched:
        """Starts one. Raises OSError if it cannot be started."""
        ...

    def close(self) -> None:
        """No more will be started."""
        ...


class SpawnLauncher:
    """Starts each in a new interpreter."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def launch(self, name: str) -> Launched:
        return spawn_interpreter("exeunt._processes._worker", self._plan.mask)

    def close(self) -> None:
        pass


class ForkLauncher:
    """Forks this process for each."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._context = multiprocessing.get_context("fork")

    def launch(self, name: str) -> Launched:
        ours, theirs = _wire.pair()
        said, says = _wire.pipe()
        try:
            with _wire.keeping(theirs, says):
                forked = self._context.Process(
                    target=run_forked,
                    args=(self._plan.target, theirs, says, os.getpid(), self._plan.mask),
                    name=name,
                    daemon=False,
                )
                forked.start()
        except BaseException:
            _wire.close(ours)
            _wire.close(said)
            raise
        finally:
            _wire.close(theirs)
            _wire.close(says)
        return Launched(Forked(forked), ours, said)

    def close(self) -> None:
        pass


def run_forked(
    target: Target, end: socket.socket, says: _wire.Descriptor, parent: int, mask: list[int]
) -> None:
    """What a forked worker does."""
    stderr = os.dup(2)
    os.dup2(says.fileno(), 2)
    _wire.close(says)
    sys.exit(Worker(end, parent, mask, stderr).run(target))


def spawn_interpreter(module: str, mask: list[int]) -> Launched:
    """Runs `module`'s `main` in a new interpreter."""
    ours, theirs = _wire.pair()
    said, says = _wire.pipe()
    own_stderr = _stderr()
    tracker: int = resource_tracker.getfd()  # type: ignore[assignment]
    arguments = (theirs.fileno(), os.getpid(), mask, own_stderr, tracker)
    program = (
        f"import sys; sys.path.append({_PACKAGE!r}); from {module} import main; main(*{arguments})"
    )
    # Whoever starts the tracker has SIGINT and SIGTERM unblocked afterwards.
    block()
    try:
        started = subprocess.Popen(
            [os.fsdecode(spawn.get_executable()), *_flags(), "-c", program],
            stdin=subprocess.DEVNULL,
            stderr=says.fileno(),
            pass_fds=[theirs.fileno(), own_stderr, tracker],
        )
    except BaseException:
        _wire.close(ours)
        _wire.close(said)
        raise
    finally:
        _wire.close(theirs)
        _wire.close(says)
        os.close(own_stderr)
    return Launched(Spawned(started), ours, said)


def _stderr() -> int:
    try:
        return os.dup(2)
    except OSError:  # of a daemon that has closed it
        return os.open(os.devnull, os.O_WRONLY)


def _flags() -> list[str]:
    # As multiprocessing does: what this interpreter was told (-W, -X, -O, …), its children are
    # told.
    flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    return flags


def preparation(name: str) -> dict[str, Any]:
    """What `multiprocessing.spawn.prepare` needs to know of this process, to import its program.

    `get_preparation_data` says the same, but settles multiprocessing's default start method for the
    whole program on its way.
    """
    directory = getattr(mp_process, "ORIGINAL_DIR", None)
    told: dict[str, Any] = {
        "name": name,
        "authkey": bytes(mp_process.current_process().authkey),
        "sys_path": [directory or os.getcwd() if path == "" else path for path in sys.path],
        "sys_argv": sys.argv,
        "orig_dir": directory,
        "dir": os.getcwd(),
    }
    program = sys.modules["__main__"]
    module = getattr(getattr(program, "__spec__", None), "name", None)
    path = getattr(program, "__file__", None)
    if module is not None:
        told["init_main_from_name"] = module
    elif path is not None:
        path = os.path.normpath(os.path.join(directory or "", path))
        # What was read from a pipe, or typed, has a name and cannot be read again.
        if os.path.exists(path):
            told["init_main_from_path"] = path
    return told


def open_pidfd(pid: int) -> int:
    """A descriptor for a process, or -1."""
    try:
        return os.pidfd_open(pid) if sys.platform == "linux" else -1
    except OSError:
        return -1


class Spawned:
    """A process that `subprocess` has started."""

    def __init__(self, started: "subprocess.Popen[bytes]") -> None:
        self._started = started
        self.pid = started.pid
        self.pidfd = open_pidfd(started.pid)

    def poll(self) -> int | None:
        return self._started.poll()

    def signal(self, signum: int) -> None:
        self._started.send_signal(signum)

    def close(self) -> None:
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1


class Forked:
    """A process that `multiprocessing` has forked."""

    def __init__(self, forked: Any) -> None:
        self._forked = forked
        self.pid: int = forked.pid
        self.pidfd = open_pidfd(forked.pid)

    @property
    def sentinel(self) -> int:
        """Can be read from when it has ended, and on some systems while a child of its lives on
        not.
        """
        return self.pidfd if self.pidfd >= 0 else int(self._forked.sentinel)

    def poll(self) -> int | None:
        code: int | None = self._forked.exitcode
        return code

    def signal(self, signum: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, signum)

    def close(self) -> None:
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1
        self._forked.close()


CONTINUE = getattr(signal, "SIGCONT", None)
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
