"""What became of everything when a server left the stage."""

from dataclasses import dataclass

from .._native import CutWork


@dataclass(frozen=True)
class ServerReport:
    """How a server's drain went.

    `cut` names the requests and WebSockets that the drain's deadline ended (a thousand at most,
    `cut_count` counts all), `cancelled` the handlers that were still running then, and `unfinished`
    those of them that had not ended when the grace period was over. `troubles` says where clients
    may have been lost with a listener.
    """

    duration: float
    """From the beginning of the drain to its end, in seconds."""
    cut: tuple[CutWork, ...] = ()
    cut_count: int = 0
    cancelled: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()
    troubles: tuple[str, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Whether everything that was begun was finished."""
        return not (self.cut_count or self.cancelled or self.unfinished or self.troubles)

    def __str__(self) -> str:
        lines = [f"drained in {self.duration:.3f} s"]
        lines += [f"  listener {trouble}" for trouble in self.troubles]
        lines += [f"  cut: {cut}" for cut in self.cut]
        if more := self.cut_count - len(self.cut):
            lines.append(f"  and {more} more were cut")
        lines += [f"  cancelled: {name}" for name in self.cancelled]
        lines += [f"  did not end: {name}" for name in self.unfinished]
        return "\n".join(lines)
