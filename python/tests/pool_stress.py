"""Pools whose workers and whose program are killed by SIGKILL at random: `pool_stress.py SECONDS`.

Programs with threads, and with processes by fork, forkserver and spawn. In one of three the program
itself is killed at a random moment. Each has to end, with every job accounted for once, and leave
no process. Says figures, and fails if one does not.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from pool_programs import Program
from pools import until
from running import begin_as_in_a_terminal

METHODS = ("threads", "fork", "forkserver", "spawn")
SCRIPT = Path(__file__).with_name("pool_stress_program.py")


def one(method: str, seed: int, done: "Counter[str]") -> None:
    chance = random.Random(seed)
    program = Program(str(SCRIPT), method, str(seed), strict=False)
    try:
        program.await_line("ready")
        if chance.random() < 1 / 3:
            time.sleep(chance.uniform(0, 1))
            if program.process.poll() is None:
                os.kill(program.process.pid, signal.SIGKILL)
                done[f"{method}, killed"] += 1
            program.end()
        else:
            assert program.end() == 0, program.told()
            done[method] += 1
        until(lambda: program.left() == [], f"{method} {seed}: the end of {program.left()}")
        assert "Traceback" not in program.errors, program.errors
    except subprocess.TimeoutExpired:
        raise AssertionError(f"{method} {seed}: it hangs\n{program.told()}") from None
    finally:
        program.kill()


def main(seconds: float) -> int:
    begin_as_in_a_terminal()
    done: Counter[str] = Counter()
    failures = 0
    end = time.monotonic() + seconds
    seed = random.SystemRandom().randrange(10**6)
    while time.monotonic() < end:
        for method in METHODS:
            seed += 1
            try:
                one(method, seed, done)
            except AssertionError as error:
                failures += 1
                print(f"FAILED {method} {seed}: {error}", file=sys.stderr, flush=True)
    for what, number in sorted(done.items()):
        print(f"{what}: {number} programs")
    print(f"failures: {failures}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1])))
