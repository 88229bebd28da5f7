"""What there is not on Windows yet, and says so when it is used (P77)."""

from typing import Any

__all__ = ["ProcessPool", "Server", "serve"]


class ProcessPool:
    """Worker processes; on Windows whoever makes one gets a `NotImplementedError`."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError(
            "exeunt.ProcessPool is not for Windows yet: its workers are told over Unix sockets. "
            "exeunt.ThreadPool works there, and concurrent.futures.ProcessPoolExecutor does"
        )


class Server:
    """A server on the engine's event loop; see `serve`."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise _no_server()


def serve(*_: Any, **__: Any) -> Server:
    """Serves HTTP by the engine's event loop; on Windows it raises `NotImplementedError`."""
    raise _no_server()


def _no_server() -> NotImplementedError:
    return NotImplementedError(
        "exeunt.serve is not for Windows yet: its event loop is for POSIX systems. "
        "exeunt.aiohttp and exeunt.GracefulServer work there"
    )
