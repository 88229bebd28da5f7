"""What an import takes, and how soon an idle `run()` ends, in milliseconds: medians over fresh processes.

    times.py OURS THEIRS

each an interpreter: of the environment that has `exeunt`, and of the one that has cymongoose.
"""

import os
import signal
import statistics
import subprocess
import sys
import time

ROUNDS = 31
IMPORT = (
    "import sys, time; began = time.perf_counter(); __import__(sys.argv[1]); "
    "print((time.perf_counter() - began) * 1000)"
)
IDLE = """
import sys
from importlib import import_module
manager = import_module(sys.argv[1]).Manager()
manager.listen("http://127.0.0.1:0")
print("listening", flush=True)
manager.run()
"""


def import_takes(python: str, module: str) -> float:
    command = [python, "-c", IMPORT, module]
    return float(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)


def run_ends(python: str, module: str) -> float:
    """From SIGTERM to the end of the process, with what the interpreter itself takes to end."""
    command = [python, "-c", IDLE, module]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        # Until it sleeps in its loop.
        time.sleep(0.2)
        began = time.perf_counter()
        os.kill(child.pid, signal.SIGTERM)
        child.wait(60)
        took = (time.perf_counter() - began) * 1000
    if child.returncode != 0:
        sys.exit(f"error: an idle run() of {module} ended with {child.returncode}")
    return took


def tell(name: str, seats: list[tuple[str, list[float]]], wanted: str) -> None:
    figures = "; ".join(
        f"{seat} {statistics.median(times):.1f} (middle half "
        f"{sorted(times)[len(times) // 4]:.1f} to {sorted(times)[-len(times) // 4]:.1f})"
        for seat, times in seats
    )
    print(f"  {name:38} {figures}{wanted}")


def main() -> None:
    ours, theirs = sys.argv[1:]
    print(f"Times of the Python package, in ms: medians over {ROUNDS} processes each, in turns")
    modules = [(ours, "exeunt"), (ours, "exeunt.mongoose"), (theirs, "cymongoose")]
    imports = [[import_takes(*seat) for seat in modules] for _ in range(ROUNDS)]
    seats = [(module, [turn[seat] for turn in imports]) for seat, (_, module) in enumerate(modules)]
    tell("import", seats, " (wanted: 30 at most)")
    loops = [(ours, "exeunt.mongoose"), (theirs, "cymongoose")]
    ends = [[run_ends(*seat) for seat in loops] for _ in range(ROUNDS)]
    seats = [(module, [turn[seat] for turn in ends]) for seat, (_, module) in enumerate(loops)]
    tell("SIGTERM to the end of an idle run()", seats, " (wanted: 30 at most)")


main()
