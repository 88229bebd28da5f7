"""Calls of everything in any order, with any arguments, from anywhere: a program of its own.

    orders.py SECONDS LOG

It ends with 0 after so many seconds, unless a call crashes the process, hangs, or raises what is
not documented. LOG is of the last example.
"""

import faulthandler
import gc
import os
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)
from orders_calls import HANDLER, any_call
from orders_world import PlannedEnd, World

# One example takes a fraction of a second; one that takes this long hangs.
HANG_S = 120

LOG: Any = None
TOLD: Counter[str] = Counter()

INDEX = st.integers(0, 9)
SEED = st.integers(0, 2**32 - 1)


def tell(line: str) -> None:
    LOG.write(line + "\n")
    if line.startswith("event "):
        TOLD["calls in handlers"] += 1
    elif line.startswith("a thread"):
        TOLD["calls in threads"] += 1
    elif line.startswith("  gave"):
        TOLD["calls that succeeded"] += 1
    elif line.startswith("  "):
        TOLD["calls that were refused"] += 1


class Orders(RuleBasedStateMachine):
    """An example is some dozens of these, over a few managers."""

    @initialize(seed=SEED, schemes=st.lists(st.sampled_from(["http", "ws", "tcp"]), max_size=2))
    def begin(self, seed: int, schemes: list[str]) -> None:
        LOG.seek(0)
        LOG.truncate()
        faulthandler.dump_traceback_later(HANG_S, exit=True)
        self.world = World(tell, seed)
        for scheme in ["http", *schemes]:
            self.world.serve(scheme)

    @rule(handler=st.sampled_from(HANDLER), wakeup=st.booleans(), errors=st.sampled_from(HANDLER))
    def make(self, handler: Any, wakeup: bool, errors: Any) -> None:
        self.world.make(handler, wakeup, errors)

    @rule(count=st.integers(1, 30))
    def call(self, count: int) -> None:
        self.world.calls(count)

    @rule(seed=SEED, count=st.integers(1, 20))
    def call_in_handlers(self, seed: int, count: int) -> None:
        random = Random(seed)
        self.world.plans.extend(any_call(random) for _ in range(count))

    @rule(count=st.integers(1, 20))
    def call_in_a_thread(self, count: int) -> None:
        self.world.in_thread(count)

    @rule(index=INDEX, times=st.integers(1, 5))
    def turn(self, index: int, times: int) -> None:
        self.world.turn(index, times)

    @rule(index=INDEX)
    def turn_without_limit(self, index: int) -> None:
        self.world.poll_without_limit(index)

    @rule(index=INDEX)
    def run_it(self, index: int) -> None:
        self.world.run(index)

    @rule(index=INDEX, count=st.integers(1, 5))
    def ask(self, index: int, count: int) -> None:
        for _ in range(count):
            self.world.connect_client(index)
        self.world.turn(index, 3)

    @rule(index=INDEX)
    def forget(self, index: int) -> None:
        self.world.forget(index)

    @rule()
    def signal_it(self) -> None:
        os.kill(os.getpid(), signal.SIGUSR1)

    @rule()
    def collect(self) -> None:
        gc.collect()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.end()


def main() -> None:
    global LOG
    seconds, log = float(sys.argv[1]), Path(sys.argv[2])
    faulthandler.enable()
    for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    undocumented: list[object] = []

    def unraisable(what: "sys.UnraisableHookArgs") -> None:
        # Of what handlers raise in one call, the first leaves it.
        if not isinstance(what.exc_value, PlannedEnd):
            undocumented.append(what)

    # Of the handlers' errors: those without an error handler are printed, thousands of times.
    sys.stderr = log.with_suffix(".stderr").open("w")
    sys.unraisablehook = unraisable
    threading.excepthook = undocumented.append
    LOG = log.open("w", buffering=1)
    # What is there already need not be looked at by every collection.
    gc.freeze()
    began = time.monotonic()
    examples = 0
    how = settings(
        max_examples=10,
        stateful_step_count=30,
        deadline=None,
        database=None,
        print_blob=False,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    while time.monotonic() - began < seconds:
        run_state_machine_as_test(Orders, settings=how)  # type: ignore[no-untyped-call]
        examples += how.max_examples
        if undocumented:
            sys.exit(f"undocumented: {undocumented}")
    counts = "".join(f", {count} {what}" for what, count in sorted(TOLD.items()))
    print(f"{examples} examples in {time.monotonic() - began:.0f} s{counts}")


if __name__ == "__main__":
    main()
