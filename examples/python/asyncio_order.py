"""Everything closes in the right order: the server first, its state last."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import exeunt


@asynccontextmanager
async def opened(name: str) -> AsyncIterator[None]:
    """Stands for a client of another service, or a pool of connections."""
    await asyncio.sleep(0.02)
    print(f"{name} opened", flush=True)
    yield
    await asyncio.sleep(0.02)
    print(f"{name} closed", flush=True)


class Counter:
    """What is to be saved in the end."""

    answered = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            await asyncio.sleep(0.005)
            writer.write(b"Answer: " + line)
            self.answered += 1

    def save(self) -> None:
        print(f"saved {self.answered}", flush=True)


async def main(app: exeunt.App) -> None:
    print("starting", flush=True)
    counter = Counter()
    await app.component("state", lambda: None, counter.save)
    await app.resource(opened("database"), timeout=5)
    await app.resource(opened("upstream"), timeout=5)
    async with exeunt.GracefulServer(counter.answer, "127.0.0.1", timeout=30) as server:
        print(f"serving on port {server.port}", flush=True)
        await app.stop.wait()
    print("requests answered", flush=True)


if __name__ == "__main__":
    exeunt.run(main)
