"""An asyncio program that waits for its stop: no signal handlers, the same on every system."""

import exeunt


async def main(app: exeunt.App) -> None:
    print("started, Ctrl-C to stop", flush=True)
    await app.stop.wait()
    print("stopping", flush=True)


if __name__ == "__main__":
    exeunt.run(main)
