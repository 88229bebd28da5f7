"""A program that owns its loop: the lifecycle is a block in it, and ends no process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import exeunt


@asynccontextmanager
async def cache() -> AsyncIterator[dict[str, str]]:
    print("cache opens", flush=True)
    await asyncio.sleep(0.02)
    try:
        yield {}
    finally:
        await asyncio.sleep(0.02)
        print("cache closed", flush=True)


@asynccontextmanager
async def database() -> AsyncIterator[dict[str, str]]:
    print("database opens", flush=True)
    await asyncio.sleep(0.02)
    try:
        yield {}
    finally:
        await asyncio.sleep(0.02)
        print("database closed", flush=True)


async def main() -> None:
    async with exeunt.lifespan(grace=25) as app:
        print("starting", flush=True)
        async with app.resource(database(), timeout=5), app.resource(cache(), timeout=5):
            print("started", flush=True)
            await app.stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
