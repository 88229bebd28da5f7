"""What can go wrong with worker processes."""

import signal

# ruff: noqa: N818 - the names say what happened


class WorkerError(RuntimeError):
    """Something went wrong with a worker process; the kinds of it say what."""


class WorkerStartError(WorkerError):
    """A worker did not become ready.

    `stage` is `"bootstrap"` (the process did not come to life) or `"ready"` (the program could not
    be imported, or the worker's factory or `start` failed). `traceback` is the worker's own, if it
    had one to tell, and `stderr` the end of what it said (4 KiB at most).
    """

    def __init__(
        self, message: str, stage: str = "", traceback: str = "", stderr: str = ""
    ) -> None:
        super().__init__(message)
        self.stage = stage
        self.traceback = traceback
        self.stderr = stderr

    def __str__(self) -> str:
        parts = [str(self.args[0])]
        if self.traceback:
            parts.append("In the worker:\n" + self.traceback.rstrip())
        if self.stderr:
            parts.append("It said:\n" + self.stderr.rstrip())
        return "\n\n".join(parts)


class WorkerDied(WorkerError):
    """A worker ended while it did a call, or was ended at the stop's deadline.

    `exit_code` is that of the process, negative for a signal, or None if nobody knows; `signal` is
    the signal's number, or None. `job` is the name of the call.
    """

    def __init__(self, message: str, exit_code: int | None = None, job: str = "") -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.job = job

    @property
    def signal(self) -> int | None:
        """The number of the signal that killed it, or None."""
        code = self.exit_code
        return -code if code is not None and code < 0 else None


class CallTimedOut(WorkerDied, TimeoutError):
    """A call took longer than the pool's `call_limit`; its worker was killed for it."""


class RemoteError(WorkerError):
    """A call has raised something that cannot be sent to another process.

    `kind` is the name of its type, and `traceback` the worker's.
    """

    def __init__(self, message: str, kind: str = "", traceback: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.traceback = traceback


class RemoteTraceback(Exception):
    """The `__cause__` of what a call has raised: where it was raised, in the worker."""

    def __str__(self) -> str:
        return "\n" + str(self.args[0]).rstrip()


class PoolBroken(WorkerError):
    """Every worker of the pool died again and again, and was given up."""


def how(exit_code: int | None) -> str:
    """How a process ended, in words."""
    if exit_code is None:
        return "ended"
    if exit_code >= 0:
        return f"ended with exit code {exit_code}"
    try:
        return f"was killed by {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"was killed by signal {-exit_code}"
