"""Tasks that are not interrupted within a step, and do not cut each other short either."""

import asyncio
import sys

from exeunt import ShutdownProtection, configure_shutdown_manager


async def work(name: int) -> None:
    async with ShutdownProtection() as block:
        for number in range(int(sys.argv[1])):
            print("begin", name, number, flush=True)
            await asyncio.sleep(0.01 * (name + 1))
            print("end", name, number, flush=True)
            block.allow_break()


async def main() -> None:
    print("ready", flush=True)
    # Otherwise asyncio tells of SystemExit as of an error that nobody has seen.
    await asyncio.gather(*(work(name) for name in range(3)), return_exceptions=True)


configure_shutdown_manager()
asyncio.run(main())
