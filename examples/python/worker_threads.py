"""Worker threads that a signal handler stops: what was begun is finished, the rest is handed back.

python worker_threads.py [finish]
"""

import itertools
import signal
import sys
import time

import exeunt

pool = exeunt.ThreadPool(4, name="worker")


def process(number: int) -> None:
    """Some work that must not be lost in the middle."""
    print(f"began {number}\n", end="")
    time.sleep(0.02)
    print(f"finished {number}\n", end="")


def on_signal(_signum: int, _frame: object) -> None:
    # It waits for nothing and takes no lock, wherever the main thread is just now.
    pool.request_stop(drain="finish" in sys.argv)


for signum in (signal.SIGINT, signal.SIGTERM):
    signal.signal(signum, on_signal)

print("starting", flush=True)
for number in itertools.count(1):
    try:
        pool.submit(process, number)
    except exeunt.PoolStopped:
        break
    print(f"accepted {number}\n", end="")
    pool.stop_event.wait(0.003)

report = pool.stop(timeout=5.0)
for job in report.handed_back:
    print(f"kept {job.args[0]}")
for running in report.still_running:
    print(f"left {running.name} in {running.worker} at {running.where}")
print("bye", flush=True)
