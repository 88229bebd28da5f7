"""What a block costs, beside graceful-shutdown from PyPI, in one run: ns, the best of many rounds.

Goals: entering and leaving under 300 ns, `allow_break()` under 60 ns.
"""

import platform
import sys
import time
from collections.abc import Callable
from typing import Any

ROUNDS = 40


def best(act: Callable[[int], None], times: int) -> float:
    """Seconds for one, in the fastest round."""
    act(times)
    rounds = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        act(times)
        rounds.append((time.perf_counter() - begun) / times)
    return min(rounds)


def nothing(times: int) -> None:
    for _ in range(times):
        pass


def measure(protection: Any, times: int) -> tuple[float, float]:
    def enter(times: int) -> None:
        for _ in range(times):
            with protection():
                pass

    with protection() as block:

        def safe_point(times: int) -> None:
            for _ in range(times):
                block.allow_break()

        allow_break = best(safe_point, times * 10) - best(nothing, times * 10)
    return best(enter, times) - best(nothing, times), allow_break


def main() -> None:
    from exeunt import ShutdownProtection as Ours

    print(f"Python {platform.python_version()} on {platform.machine()}, best of {ROUNDS} rounds")
    rows = [("exeunt", measure(Ours, 20_000))]
    try:
        from graceful_shutdown import ShutdownProtection as Theirs
    except ImportError:
        print("graceful-shutdown is not installed", file=sys.stderr)
    else:
        rows.append(("graceful-shutdown", measure(Theirs, 200)))
    for name, (enter, allow_break) in rows:
        print(f"{name:18} enter and leave {enter * 1e9:8.0f} ns   allow_break {allow_break * 1e9:6.1f} ns")


if __name__ == "__main__":
    main()
