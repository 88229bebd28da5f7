"""Workers that are told to stop, awaited for 10 s, and cancelled then."""

import asyncio

import exeunt


async def work() -> None:
    await asyncio.sleep(0.02)


async def worker(name: str, stop: asyncio.Event) -> None:
    while not stop.is_set():
        await work()
    print(f"{name} stopped", flush=True)


async def main(app: exeunt.App) -> None:
    async with app.group("workers", timeout=10) as workers:
        for number in (1, 2, 3):
            name = f"worker-{number}"
            workers.spawn(worker(name, workers.stop), name=name)
        print("started", flush=True)
        await app.stop.wait()
        print("stopping", flush=True)
    print(f"not finished: {workers.unfinished}", flush=True)


if __name__ == "__main__":
    exeunt.run(main)
