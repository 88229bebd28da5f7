"""Tasks of asyncio's own, which know nothing of the stop: they are cancelled, and awaited."""

import asyncio

import exeunt


async def worker(name: str) -> None:
    print(f"{name} begun", flush=True)
    try:
        await asyncio.sleep(3600)
    finally:
        await asyncio.sleep(0.01)
        print(f"{name} cancelled", flush=True)


async def main(app: exeunt.App) -> None:
    print("starting", flush=True)
    tasks = [asyncio.create_task(worker(f"worker-{number}")) for number in (1, 2, 3)]
    await app.stop.wait()
    print(f"stopping {len(tasks)} tasks", flush=True)


if __name__ == "__main__":
    exeunt.run(main)
