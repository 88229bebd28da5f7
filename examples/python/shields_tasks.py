"""Tasks that are not interrupted within a step, and do not cut each other short either."""

import asyncio
import sys

from exeunt import ShutdownProtection


async def work(name: int) -> None:
    async with ShutdownProtection() as block:
        for number in range(int(sys.argv[1])):
            print("begin", name, number, flush=True)
            await asyncio.sleep(0.01 * (name + 1))
            print("end", name, number, flush=True)
            block.allow_break()


async def main() -> None:
    print("ready", flush=True)
    await asyncio.gather(*(work(name) for name in range(3)))


asyncio.run(main())
