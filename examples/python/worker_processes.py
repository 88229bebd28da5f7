"""Worker processes with a state that is updated in all of them, and a stop that loses no call.

python worker_processes.py [spawn|fork|forkserver]
"""

import asyncio
import itertools
import multiprocessing
import os
import sys
import time

import exeunt


class Rules:
    """What each worker has for itself: some pythonic heavy lifting, and a state."""

    def __init__(self, version: int) -> None:
        self.version = version

    def start(self) -> None:
        print(f"worker {os.getpid()} started\n", end="", flush=True)

    def stop(self) -> None:
        print(f"worker {os.getpid()} stopped\n", end="", flush=True)

    def update(self, version: int) -> None:
        self.version = version

    def process_string(self, text: str) -> str:
        time.sleep(0.01)
        return f"{text} by version {self.version}"


async def main(app: exeunt.App) -> None:
    print("starting", flush=True)
    pool = exeunt.ProcessPool(Rules, (0,), workers=2, bootstrap_timeout=30)
    await app.component("workers", pool.astart, pool.astop)
    print("ready", flush=True)
    calls = itertools.count(1)
    while not app.stop.is_set():
        number = next(calls)
        if number % 10 == 0:
            await pool.aupdate(number)
        texts = [pool.acall("process_string", f"{number}.{n}") for n in range(3)]
        print(f"began {number}")
        await asyncio.gather(*texts)
        print(f"finished {number}")


if __name__ == "__main__":
    if sys.argv[1:]:
        multiprocessing.set_start_method(sys.argv[1])
    exeunt.run(main)
    print("bye", flush=True)
