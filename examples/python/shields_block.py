"""Pairs of steps that a signal does not interrupt, with a safe point after each pair."""

import sys
import time

from exeunt import ShutdownProtection


def step(name: str) -> None:
    print("begin", name, flush=True)
    time.sleep(0.01)
    print("end", name, flush=True)


with ShutdownProtection(4) as block:
    print("ready", flush=True)
    for number in range(int(sys.argv[1])):
        try:
            step(f"{number} a")
            step(f"{number} b")
        except (SystemExit, KeyboardInterrupt):
            # The time was over, or somebody is very impatient.
            print("rollback", number, flush=True)
            raise
        block.allow_break()
