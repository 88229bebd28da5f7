"""`exeunt.serve`: cancelled at each of its steps, and used by hands that know no order."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Coroutine, Generator
from contextlib import suppress
from typing import Any

from serving import URL, connected, run, until

import exeunt
from exeunt import EventStream, Request


class Stepped:
    """A coroutine that is cancelled when it is gone on with for the n-th time."""

    def __init__(self, inner: Coroutine[Any, Any, object], cancel_at: int) -> None:
        self._inner = inner
        self._cancel_at = cancel_at
        self.steps = 0

    def __await__(self) -> Generator[Any, Any, object]:
        inner = self._inner.__await__()
        thrown: BaseException | None = None
        while True:
            try:
                waited = next(inner) if thrown is None else inner.throw(thrown)
            except StopIteration as end:
                return end.value
            self.steps += 1
            if self.steps == self._cancel_at:
                task = asyncio.current_task()
                assert task is not None
                # Delivered where it waits now, as by anybody else.
                asyncio.get_running_loop().call_soon(task.cancel)
            thrown = None
            try:
                yield waited
            except BaseException as error:
                thrown = error


async def handler(request: Request) -> str | AsyncIterator[str]:
    if request.path == "/stream":
        return stream(request)
    await asyncio.sleep(0)
    return request.path


async def stream(request: Request) -> AsyncIterator[str]:
    for index in range(5):
        yield f"{index}"
        await asyncio.sleep(0)


async def life(servers: list[exeunt.Server]) -> None:
    """What a program does with a server, from its beginning to its end."""
    async with exeunt.serve(handler, URL, grace=5) as server:
        servers.append(server)
        async with connected(server.port) as client:
            assert (await client.fetch("/a")).body == b"/a"
            assert (await client.fetch("/stream")).body == b"01234"
            client.ask("/b")
        server.stop()
        await server.wait_draining()


def test_a_cancellation_at_each_await_leaves_nothing_behind() -> None:
    async def one(step: int) -> bool:
        """Whether there was such a step."""
        before = asyncio.all_tasks()
        servers: list[exeunt.Server] = []
        stepped = Stepped(life(servers), step)

        async def body() -> None:
            await stepped

        with suppress(asyncio.CancelledError):
            await asyncio.create_task(body())
        (server,) = servers
        assert server.report is not None
        assert not server.report.unfinished
        assert server.in_flight == 0
        assert asyncio.all_tasks() == before
        return stepped.steps >= step

    async def main() -> int:
        step = 1
        while await one(step):
            step += 1
        return step

    assert run(main) > 5


def test_any_order_of_doings_harms_nobody() -> None:
    """Clients, handlers and the server itself do what they like; whoever is owed an end has one."""

    async def any_handler(request: Request) -> Any:
        choice = random.Random(request.path).randrange(9)
        match choice:
            case 0:
                raise ValueError(request.path)
            case 1:
                return stream(request)
            case 2:
                await asyncio.sleep(random.Random(request.path).random() / 50)
            case 3:
                return None
            case 4:
                await request.wait_draining()
            case 5:
                asyncio.current_task().cancel()  # type: ignore[union-attr]
                await asyncio.sleep(0)
            case 6:
                try:
                    await asyncio.sleep(0.02)
                except asyncio.CancelledError:
                    return "insists"
            case 7:
                return EventStream(stream(request))
        return request.path

    async def client(port: int, seed: int) -> None:
        chance = random.Random(seed)
        with suppress(ConnectionError, asyncio.IncompleteReadError, ValueError):
            async with connected(port) as peer:
                for turn in range(chance.randrange(1, 6)):
                    peer.ask(f"/{seed}/{turn}")
                    match chance.randrange(5):
                        case 0:
                            peer.reset()
                        case 1:
                            peer.writer.write_eof()
                        case 2:
                            peer.send(chance.randbytes(20))
                        case 3:
                            await peer.reply()
                await asyncio.wait_for(peer.end(), chance.random())

    async def main() -> None:
        for seed in range(4):
            chance = random.Random(seed)
            async with exeunt.serve(any_handler, URL, grace=chance.random()) as server:
                clients = [
                    asyncio.create_task(client(server.port, 100 * seed + index))
                    for index in range(50)
                ]
                await asyncio.sleep(chance.random() / 5)
                for task in chance.sample(clients, 10):
                    task.cancel()
            await asyncio.gather(*clients, return_exceptions=True)
            await until(lambda server=server: server.in_flight == 0)  # type: ignore[misc]
            assert server.report is not None

    logging.getLogger("exeunt").setLevel(logging.CRITICAL)
    try:
        run(main)
    finally:
        logging.getLogger("exeunt").setLevel(logging.NOTSET)
