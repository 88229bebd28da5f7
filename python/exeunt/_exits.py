"""Pools at the end of the process: what nobody has stopped is stopped then, all at once."""

import atexit
import math
import os
import time
from typing import Any, Protocol


class Stoppable(Protocol):
    """What there is of a pool when all have let go of it."""

    pid: int
    stop_timeout: float
    report: Any
    settler: Any

    def ask(self, *, drain: bool, timeout: float) -> None: ...
    def wait(self, timeout: float | None) -> None: ...
    def settle_up(self) -> object: ...


# Each operation is a single one, and so atomic.
_pools: dict[int, Stoppable] = {}


def register(pool: Stoppable) -> None:
    """Has the pool stopped at the end of the process."""
    _pools[id(pool)] = pool


def forget(pool: Stoppable) -> None:
    """Its threads have ended."""
    _pools.pop(id(pool), None)


def _stop_all() -> None:
    pools = [pool for pool in list(_pools.values()) if pool.pid == os.getpid()]
    unstopped = [pool for pool in pools if pool.report is None]
    began = time.monotonic()
    for pool in unstopped:
        pool.ask(drain=True, timeout=pool.stop_timeout)
    for pool in unstopped:
        try:
            pool.wait(max(0.0, pool.stop_timeout - (time.monotonic() - began)))
        except KeyboardInterrupt:
            # Who asks a second time does not want to wait.
            began = -math.inf
            for each in unstopped:
                each.ask(drain=False, timeout=0)
        pool.settle_up()
    for pool in pools:
        pool.settler.flush(1.0)  # what is to be told


def stop_first() -> None:
    """Stops the pools before whatever else has been registered until now is done."""
    atexit.unregister(_stop_all)
    atexit.register(_stop_all)


stop_first()
