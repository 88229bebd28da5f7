"""A pool whose workers are killed at random, and an account of all its jobs: `METHOD SEED`.

METHOD is `threads`, or how processes are started. Says `ready`, and in the end a line of counts;
fails unless each job was accounted for once.
"""

import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import Any

from pools import LONG

import exeunt
from exeunt import PoolStopped, WorkerDied

JOBS = 400


def work(number: int, seconds: float) -> int:
    time.sleep(seconds)
    return number


class State:
    """What each worker has for itself."""

    def __init__(self) -> None:
        self.number = 0

    def update(self, number: int) -> None:
        self.number = number

    def work(self, number: int, seconds: float) -> int:
        return work(number, seconds)


def kill_some(pool: exeunt.ProcessPool, chance: random.Random, over: threading.Event) -> None:
    while not over.wait(chance.uniform(0, 0.1)):
        for pid in pool.pids:
            if chance.random() < 0.3:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def outcome(number: int, future: "Future[Any]") -> str:
    try:
        result = future.result(LONG)
    except CancelledError:
        return "handed back"
    except WorkerDied:
        return "died"
    assert result == number, (number, result)
    return "done"


def main(method: str, seed: int) -> None:
    chance = random.Random(seed)
    over = threading.Event()
    pool: exeunt.ThreadPool | exeunt.ProcessPool
    if method == "threads":
        pool = exeunt.ThreadPool(3)
    else:
        options: Any = {"start_method": method, "max_restarts": 10**6, "bootstrap_timeout": LONG}
        pool = exeunt.ProcessPool(State, workers=3, **options)
        pool.start()
        threading.Thread(target=kill_some, args=(pool, chance, over), daemon=True).start()
    print("ready", flush=True)
    jobs: list[tuple[int, Future[Any]]] = []
    updates: list[Future[None]] = []
    asked = chance.randrange(JOBS)
    # Asked for the stop, or stopped in a thread of its own, while others submit.
    timeout, drain = chance.choice([0.0, 0.1, 1.0, LONG]), chance.random() < 0.5
    reports: list[Any] = []
    stopping = threading.Thread(target=lambda: reports.append(pool.stop(timeout, drain=drain)))
    refused = 0
    for number in range(JOBS):
        if number == asked:
            stopping.start()
        try:
            fn: Any = work if method == "threads" or chance.random() < 0.5 else "work"
            future = pool.submit(fn, number, chance.uniform(0, 0.004))
            jobs.append((number, future))
            if isinstance(pool, exeunt.ProcessPool) and chance.random() < 0.02:
                updates.append(pool.submit_update(number))
        except PoolStopped:
            refused += 1
        time.sleep(chance.uniform(0, 0.002))
    stopping.join(2 * LONG)
    assert not stopping.is_alive(), "the stop hangs"
    over.set()
    ends = Counter(outcome(number, future) for number, future in jobs)
    for update in updates:
        assert update.cancelled() or update.done() or update.exception(LONG) is not None
    (report,) = reports
    assert sum(ends.values()) + refused == JOBS, (ends, refused)
    handed_back = [job.args[0] for job in report.handed_back if job.args]
    assert len(handed_back) == len(set(handed_back)), handed_back
    assert len(handed_back) == ends["handed back"], (len(handed_back), ends)
    if isinstance(pool, exeunt.ProcessPool):
        assert pool.pids == (), pool.pids
    print(f"refused {refused},", ", ".join(f"{what} {n}" for what, n in sorted(ends.items())))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
