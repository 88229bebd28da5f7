"""A web service on asyncio that stops without losing anything: requests, a stream, a chat.

    python asyncio_server.py [URL]

Try it with `curl localhost:8000`, `curl -N localhost:8000/clock` and, in a browser, a WebSocket to
`ws://localhost:8000/chat`; then stop it by Ctrl-C or SIGTERM.
"""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import suppress

import exeunt

members: set[exeunt.WebSocket] = set()


async def handler(request: exeunt.Request) -> exeunt.Answer | None:
    """Called for each request, in a task of its own."""
    match request.path:
        case "/":
            return {"hello": request.param("name", "world")}
        case "/clock":
            return exeunt.EventStream(ticks(request))
        case "/chat":
            await chat(await request.websocket())
            return None
        case "/slow":
            await asyncio.sleep(float(request.param("seconds", "1") or 0))
            return "slow, but not lost\n"
    return exeunt.Response(404, body="there is nothing here\n")


async def ticks(request: exeunt.Request) -> AsyncIterator[str]:
    """Server-sent events, until the client goes or the server does."""
    count = 0
    while not request.draining:
        yield f"tick {count}"
        count += 1
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(request.wait_draining(), 1.0)
    yield "goodbye"


async def chat(ws: exeunt.WebSocket) -> None:
    """Passes each message on to everybody, until its sender leaves."""
    members.add(ws)
    try:
        async for message in ws:
            await asyncio.gather(*(tell(member, message) for member in members))
    finally:
        members.discard(ws)


async def tell(member: exeunt.WebSocket, message: str | bytes) -> None:
    """Waits while the member is slow, and does not mind if it is gone."""
    with suppress(exeunt.ConnectionClosedError):
        await member.send(message)


async def main(url: str) -> int:
    async with exeunt.serve(handler, url, grace=25) as server:
        # In a program with more to stop than this server, `exeunt.run` sees to the signals.
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, server.stop)
        print(f"serving on port {server.port}", flush=True)
        await server.serve_forever()
    print(server.report)
    assert server.report is not None
    return 0 if server.report.is_clean else 3


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000")))
