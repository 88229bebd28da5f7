"""What runs in a worker process."""

import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from multiprocessing import process, resource_tracker, spawn
from multiprocessing.reduction import ForkingPickler
from pickle import loads
from queue import SimpleQueue
from typing import Any

from . import _wire
from ._guard import Guard, block

IMPORTING_TWICE = (
    "this program starts worker processes when it is imported, and every worker imports it: "
    "put what starts them under `if __name__ == '__main__':`"
)
_importing_main = False

Target = Callable[[], Any]


def importing_main() -> bool:
    """Whether this process is a worker that imports the program."""
    return _importing_main


def main(descriptor: int, parent: int, mask: list[int], stderr: int, tracker: int) -> None:
    """Runs a worker in an interpreter of its own, started by the pool."""
    end = _wire.adopt(socket.socket(fileno=descriptor))
    inherit_tracker(tracker)
    sys.exit(Worker(end, parent, mask, stderr).run(None))


def inherit_tracker(descriptor: int) -> None:
    """Shares the parent's resource tracker, as multiprocessing's own children do.

    With one of its own each worker would unlink at its end the shared memory that it has looked at.
    """
    if descriptor >= 0:
        resource_tracker._resource_tracker._fd = descriptor  # type: ignore[attr-defined]


class Worker:
    """A worker: its conversation with the pool, and the calls that it does."""

    def __init__(self, end: socket.socket, parent: int, mask: Iterable[int], stderr: int) -> None:
        self._end = end
        self._inbox: SimpleQueue[tuple[Any, ...]] = SimpleQueue()
        self._guard = Guard(lambda: self._inbox.put(("noted",)))
        self._stderr = stderr
        self._object: Any = None
        self._guard.install(parent, mask)
        self._send("bootstrapped", os.getpid())
        threading.Thread(target=self._listen, name="exeunt-pool", daemon=True).start()

    def run(self, target: Target | None) -> int:
        """Does what the pool says until that says stop; gives the exit code."""
        code = 0
        try:
            if self._begin(target):
                self._serve()
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else 1
        code = self._finish() or code
        # The interpreter's end takes the handlers away before the process is over.
        block()
        return code

    def _begin(self, target: Target | None) -> bool:
        message = self._inbox.get()
        while message[0] == "noted":
            message = self._inbox.get()
        if message[0] != "begin":
            return False
        _, preparation, payload = message
        try:
            made = load_target(preparation, payload) if target is None else target
            worker = made()
            start = getattr(worker, "start", None)
            if callable(start):
                start()
        except SystemExit:
            raise
        except BaseException as error:
            self._send("failed", *describe(error))
            return False
        # From now on there is something to stop.
        self._object = worker
        restore_stderr(self._stderr)
        self._send("ready")
        return True

    def _serve(self) -> None:
        while True:
            kind, *rest = self._inbox.get()
            if kind == "stop":
                return
            if kind == "noted":
                self._send("noted")
            elif kind == "call":
                self._answer(*rest)
            del rest

    def _answer(self, number: int, payload: bytes) -> None:
        try:
            method, args, kwargs = loads(payload)
            call = getattr(self._object, method) if isinstance(method, str) else method
            value = call(*args, **kwargs)
            del args, kwargs
        except Exception as error:
            self._raised(number, error)
            return
        except BaseException as error:
            if isinstance(error, SystemExit) and self._guard.terminating:
                raise
            self._send("raised", number, None, *_told(error))
            return
        try:
            answer = bytes(ForkingPickler.dumps(value))
        except Exception as error:
            text = f"what the call has returned cannot be sent: {_brief(error)}"
            self._send("raised", number, None, "TypeError", text, _traceback(error))
            return
        self._send("returned", number, answer)

    def _raised(self, number: int, error: Exception) -> None:
        try:
            payload: bytes | None = bytes(ForkingPickler.dumps(error))
        except Exception:
            payload = None
        self._send("raised", number, payload, *_told(error))

    def _finish(self) -> int:
        stop = getattr(self._object, "stop", None)
        try:
            if callable(stop):
                stop()
        except SystemExit as left:
            return left.code if isinstance(left.code, int) else 1
        except Exception as error:
            self._send("stopped", *describe(error))
            return 1
        self._send("stopped", None, None)
        return 0

    def _send(self, *message: Any) -> None:
        try:
            with self._guard.held():
                _wire.send(self._end, *message)
        except OSError:
            self._orphaned()

    def _listen(self) -> None:
        # All signals are the main thread's: one that lands here would interrupt nothing.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            while True:
                message = _wire.receive(self._end)
                if message[0] == "terminate":
                    self._guard.terminate()
                else:
                    self._inbox.put(message)
        except (OSError, EOFError):
            self._orphaned()

    def _orphaned(self) -> None:
        # The pool's process is gone. Where the kernel has not killed us with it, we do.
        os.kill(os.getpid(), signal.SIGKILL)


def load_target(preparation: dict[str, Any] | None, payload: bytes) -> Target:
    """Imports the program, as multiprocessing does, and unpickles what is to be run."""
    global _importing_main
    current: Any = process.current_process()
    current._inheriting = _importing_main = True
    try:
        if preparation is not None:
            spawn.prepare(preparation)
        factory, args, kwargs = loads(payload)
    finally:
        _importing_main = False
        del current._inheriting
    return lambda: None if factory is None else factory(*args, **kwargs)


def restore_stderr(descriptor: int) -> None:
    """Lets the worker write to the program's own stderr; until here, the pool has listened."""
    if descriptor >= 0:
        sys.stderr.flush()
        os.dup2(descriptor, 2)
        os.close(descriptor)


def describe(error: BaseException) -> tuple[str, str]:
    """An error in words, and its traceback."""
    return _brief(error), _traceback(error)


def _brief(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _traceback(error: BaseException) -> str:
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))


def _told(error: BaseException) -> tuple[str, str, str]:
    return type(error).__name__, _brief(error), _traceback(error)
