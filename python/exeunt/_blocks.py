"""Pools as blocks: what `with` does with them at its end."""

import math
from abc import ABC, abstractmethod
from types import TracebackType

__all__ = ["StoppedByBlock"]


class StoppedByBlock(ABC):
    """Stops when its block is left: in its own time where the block went well, else soon."""

    @abstractmethod
    def stop(self, timeout: float | None = None, *, drain: bool = True) -> object:
        """Ends it, and says what became of its jobs."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.stop(math.inf if kind is None else None, drain=kind is None)
        except BaseException:
            # Ctrl-C while the queue is worked off.
            self.stop(drain=False)
            raise
