"""The lifecycle: phases, signals, counted work, and the report."""

from ._native import CutWork, Lifecycle, Report, Watch, Work
from ._phase import Phase

__all__ = ["CutWork", "Lifecycle", "Phase", "Report", "Watch", "Work"]
