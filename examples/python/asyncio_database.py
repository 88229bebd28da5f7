"""Requests that use a database, which closes when the last of them is over."""

import asyncio

import exeunt


class DatabasePool:
    """Stands for a pool of connections."""

    is_closed = False

    async def connect(self) -> None:
        await asyncio.sleep(0.05)
        print("connected", flush=True)

    async def execute(self, query: str) -> str:
        await asyncio.sleep(0.03)
        if self.is_closed:
            raise RuntimeError("the pool is closed")
        return f"result of {query}"

    async def close(self) -> None:
        self.is_closed = True
        await asyncio.sleep(0.05)
        print("closed", flush=True)


async def request(database: DatabasePool, number: int) -> None:
    await database.execute(f"SELECT * FROM users WHERE id={number}")
    print(f"request {number} finished", flush=True)


async def main(app: exeunt.App) -> None:
    print("starting", flush=True)
    database = DatabasePool()
    await app.component("database", database.connect, database.close, timeout=5)
    number = 0
    while not await app.stop.sleep(0.01):
        number += 1
        app.spawn(request(database, number), name=f"request {number}")
        print(f"request {number} begun", flush=True)


if __name__ == "__main__":
    exeunt.run(main)
