import asyncio
import signal
from exeunt.mongoose import MG_EV_HTTP_MSG
from exeunt.mongoose.aio import AsyncManager

def handler(conn, ev, data):
    if ev == MG_EV_HTTP_MSG:
        conn.reply(200, b'{"ok":true}')

async def main():
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for what in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(what, stopping.set)
    # Tune the timeout for your application
    async with AsyncManager(handler, shutdown_timeout=10) as am:
        am.listen("http://0.0.0.0:8000")
        # ...
        await stopping.wait()
        # __aexit__ handles shutdown automatically

asyncio.run(main())
