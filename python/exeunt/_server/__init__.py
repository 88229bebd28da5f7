"""The server for asyncio: requests over the engine's event loop, handlers on the program's."""
