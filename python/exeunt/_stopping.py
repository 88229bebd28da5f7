"""Exceptions of a stop."""

from ._lifecycle import Report

__all__ = ["StopFailed", "Stopping", "is_by_stop"]


class Stopping(Exception):  # noqa: N818 - the end of a program that goes well
    """A stop is requested, and nothing more starts (L3). A main that it leaves has ended well."""


class StopFailed(Exception):  # noqa: N818 - beside Stopping
    """The program has stopped, and not well: something failed, or was cut. `report` says what."""

    def __init__(self, report: Report) -> None:
        super().__init__(str(report))
        self.report = report


def is_by_stop(error: BaseException | None) -> bool:
    """Whether a stop made that error: itself, or something that it was raised from."""
    while error is not None:
        if isinstance(error, Stopping):
            return True
        error = error.__cause__
    return False
