"""An aiohttp application: only what runs it has changed.

`python aiohttp_app.py 8080`, and Ctrl-C under load: no request is lost.
"""

import asyncio
import sys

from aiohttp import web

import exeunt.aiohttp


async def handle(request: web.Request) -> web.Response:
    await asyncio.sleep(float(request.query.get("seconds", 0)))
    return web.Response(text="Hello, World!")


async def on_startup(app: web.Application) -> None:
    print("starting")


async def on_shutdown(app: web.Application) -> None:
    print("stopping")


async def on_cleanup(app: web.Application) -> None:
    print("cleaned up")


def create_app() -> web.Application:
    app = web.Application()
    app.on_startup.append(on_startup)
    app.on_shutdown.append(on_shutdown)
    app.on_cleanup.append(on_cleanup)
    app.router.add_get("/", handle)
    return app


if __name__ == "__main__":
    exeunt.aiohttp.run_app(create_app(), host="127.0.0.1", port=int(sys.argv[1]))
