"""The log level."""

from ._events import MG_LL_NONE

# Those of `logging`, which is not imported before somebody sets a level.
_LEVELS = {0: 60, 1: 40, 2: 20, 3: 10}
_FINEST = 1

_level = MG_LL_NONE


def log_set(level: int) -> None:
    """Sets how much is logged, an `MG_LL_` number, by the level of the logger `exeunt.mongoose`.

    NONE lets nothing through, VERBOSE everything. Before the first call the logger has the level
    that the program's own configuration of `logging` gives it.
    """
    global _level
    from logging import getLogger
    from operator import index

    _level = index(level)
    of_logger = _LEVELS[0] if _level < 0 else _LEVELS.get(_level, _FINEST)
    getLogger("exeunt.mongoose").setLevel(of_logger)


def log_get() -> int:
    """What `log_set` was last given; `MG_LL_NONE` before."""
    return _level
