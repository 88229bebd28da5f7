"""What a pool of processes says of its stop."""

from dataclasses import dataclass

from .._jobs import Job, RunningJob


@dataclass(frozen=True)
class WorkerEnd:
    """How the last process in a worker's place ended."""

    name: str
    pid: int
    how: str
    """`"stopped"` when it was told; `"terminated"` or `"killed"` when it was late; `"died"` by
    itself;
    `"left"` if even SIGKILL has not ended it yet."""
    exit_code: int | None
    """Negative for a signal."""


@dataclass(frozen=True)
class ProcessPoolReport:
    """What became of the jobs and the workers when a pool was stopped."""

    finished: int
    """How many calls were finished after the stop was asked for."""
    handed_back: tuple[Job, ...]
    """What was not begun, in the order in which it was submitted."""
    cut: tuple[RunningJob, ...]
    """What had been begun, and was ended at the deadline."""
    workers: tuple[WorkerEnd, ...]
    replaced: int
    """How many workers were replaced as long as the pool ran."""
    running: int = 0
    """How many workers have not ended; 0 unless the stop was told not to wait for them."""

    @property
    def clean(self) -> bool:
        """Whether every call was finished, and every worker ended when it was told."""
        return not (self.handed_back or self.cut or self.running) and all(
            worker.how == "stopped" and worker.exit_code == 0 for worker in self.workers
        )
