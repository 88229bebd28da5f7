"""Stops the examples at every point of their lives: `sweep.py [--every MS] [--jobs N] [NAME...]`.

Each is struck every so many milliseconds: before its first line, from there on by one signal and by
two, and by a second one all through its stop; by SIGINT and SIGTERM, to the process and to its
group. Says for each how many lives it had, how many signals they were sent, how they ended, and how
many of them did not end well; tells of those on stderr, and fails if there is one.
"""

import argparse
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from lives import Life, Strike, live, strikes
from lives_of_examples import LIVES
from running import begin_as_in_a_terminal


@dataclass
class Sweep:
    """What became of all lives of one program."""

    life: Life
    ends: "Counter[int | str]" = field(default_factory=Counter)
    sent: int = 0
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def run(self, every: float, jobs: int) -> None:
        begun = time.monotonic()
        with ThreadPoolExecutor(jobs) as side_by_side:
            list(side_by_side.map(self._strike, strikes(self.life, every)))
        self.seconds = time.monotonic() - begun

    def _strike(self, strike: Strike) -> None:
        try:
            ended = live(self.life, strike)
        except (AssertionError, OSError, subprocess.SubprocessError) as error:
            self.failures.append(f"{self.life.name}, {strike}: {error}")
            self.ends["failed"] += 1
            return
        self.sent += ended.sent
        self.ends["swallowed at birth" if ended.was_swallowed else ended.status] += 1

    def __str__(self) -> str:
        ends = ", ".join(f"{status}: {number}" for status, number in self.ends.most_common())
        lives = sum(self.ends.values())
        return (
            f"| {self.life.name} | {lives} | {self.sent} | {ends} | {len(self.failures)} |"
            f" {self.seconds:.0f} s |"
        )


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=float, default=5.0, metavar="MS")
    parser.add_argument("--jobs", type=int, default=2, metavar="N")
    parser.add_argument("--told", type=int, default=5, metavar="N", help="failures of each, whole")
    parser.add_argument("names", nargs="*", metavar="NAME")
    given = parser.parse_args(arguments)
    chosen = [life for life in LIVES if not given.names or life.name in given.names]
    if missing := set(given.names) - {life.name for life in LIVES}:
        parser.error(f"no example is named {', '.join(sorted(missing))}")
    begin_as_in_a_terminal()
    print(f"Python {sys.version.split()[0]}, every {given.every:g} ms, {given.jobs} side by side")
    print("\n| example | lives | signals | ends by status | failures | time |")
    print("|---|---|---|---|---|---|", flush=True)
    failed = 0
    for life in chosen:
        sweep = Sweep(life)
        sweep.run(given.every / 1000, given.jobs)
        print(sweep, flush=True)
        failed += len(sweep.failures)
        for failure in sweep.failures[: given.told]:
            print(failure, file=sys.stderr, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
