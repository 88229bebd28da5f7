"""The phases of a lifecycle."""

from enum import IntEnum


class Phase(IntEnum):
    """Where a program is on its way to the end. Phases move forward only; later ones are more."""

    STARTING = 0
    """From the beginning until it is ready."""
    RUNNING = 1
    """Ready."""
    LAME_DUCK = 2
    """A stop was requested: no longer ready, but whatever comes is still accepted and answered."""
    DRAINING = 3
    """Nothing new is accepted; what is in flight finishes."""
    CLOSING = 4
    """Nothing is in flight any more, or the drain deadline has cut what was."""
    STOPPED = 5
    """Over."""
