"""asyncio, worker threads and worker processes in one program, started and stopped in order.

Two services, each used by a task of its own: one does its work in processes, one in threads. Ctrl-C
it at any time.
"""

import asyncio
import time

import exeunt


class DummyManager:
    """Runs in each worker process: two ways of working, and a state."""

    def __init__(self) -> None:
        self.state = 0

    def process_string(self, text: str) -> str:
        time.sleep(0.005)
        return f"{text}, state {self.state}"

    def process_number(self, number: int) -> int:
        return number * self.state

    def update(self, state: int) -> None:
        self.state = state


class AsyncService1:
    """Does its work in processes."""

    async def start(self) -> None:
        self.pool = exeunt.ProcessPool(DummyManager, workers=2, bootstrap_timeout=30)
        await self.pool.astart()
        print("service 1 started", flush=True)

    async def stop(self) -> None:
        report = await self.pool.astop()
        print(f"service 1 stopped, clean: {report.clean}", flush=True)

    async def use(self, stop: exeunt.Stop) -> None:
        state = 0
        while not stop.is_set():
            state += 1
            await self.pool.aupdate(state)
            print("began 1")
            await self.pool.acall("process_string", "a string")
            assert await self.pool.acall("process_number", 2) == 2 * state
            print("finished 1")


class AsyncService2:
    """Does its work in threads."""

    async def start(self) -> None:
        self.pool = exeunt.ThreadPool(2)
        print("service 2 started", flush=True)

    async def stop(self) -> None:
        report = await self.pool.astop()
        print(f"service 2 stopped, clean: {report.clean}", flush=True)

    async def use(self, stop: exeunt.Stop) -> None:
        while not stop.is_set():
            print("began 2")
            await asyncio.wrap_future(self.pool.submit(time.sleep, 0.005))
            print("finished 2")


async def main(app: exeunt.App) -> None:
    print("starting", flush=True)
    first, second = AsyncService1(), AsyncService2()
    for name, service in (("service 1", first), ("service 2", second)):
        # A stop that comes meanwhile lets this start finish, and begins no further one.
        await app.component(name, service.start, service.stop)
    print("ready", flush=True)
    async with app.group("users") as users:
        users.spawn(first.use(app.stop))
        users.spawn(second.use(app.stop))


if __name__ == "__main__":
    exeunt.run(main)
    print("bye", flush=True)
