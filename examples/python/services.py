"""Two services, async and not, that start in order and stop in reverse, uninterrupted."""

import asyncio
import time

import exeunt


class Storage:
    def start(self) -> None:
        print("starting", flush=True)
        time.sleep(0.05)
        print("storage started", flush=True)

    def stop(self) -> None:
        time.sleep(0.05)
        print("storage stopped", flush=True)


class Listener:
    async def start(self) -> None:
        await asyncio.sleep(0.05)
        print("listener started", flush=True)

    async def stop(self) -> None:
        await asyncio.sleep(0.05)
        print("listener stopped", flush=True)


if __name__ == "__main__":
    exeunt.Application([Storage(), Listener()], timeout=5).run()
