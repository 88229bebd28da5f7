"""An echo server of lines: every line that has arrived is answered, and clients hear goodbye."""

import asyncio

import exeunt


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        writer.write(b"Echo: " + line)
        await writer.drain()


async def main() -> None:
    server = exeunt.GracefulServer(
        echo, "127.0.0.1", goodbye=b"Server is shutting down. Goodbye!\r\n", timeout=30
    )
    async with server:
        print(f"started on port {server.port}", flush=True)
        app = exeunt.current_app()
        await app.stop.wait()
    print(f"stopping: {server.report}", flush=True)


if __name__ == "__main__":
    exeunt.run(main)
