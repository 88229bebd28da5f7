"""An executor whose workers are all busy for ever: closing needs none of them.

What still runs at the hard deadline is named, and left.
"""

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor

import exeunt


def process() -> None:
    while True:
        time.sleep(1)


async def main(app: exeunt.App) -> None:
    print("starting", flush=True)
    executor = ThreadPoolExecutor(4, "worker")
    await app.component("storage", lambda: None, lambda: print("storage closed", flush=True))
    for _ in range(4):
        asyncio.get_running_loop().run_in_executor(executor, process)
    print("started", flush=True)
    await app.stop.wait()


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    exeunt.run(main, grace=2)
