"""Stop without losing anything: shields, workers, asyncio and servers that drain.

Each name is imported when it is first used, so that `import exeunt` costs next to nothing.
"""

import sys
from importlib import import_module

# The type checker knows it by its name; importing it from `typing` would take longer than all the
# rest.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._app import App as App
    from ._application import Application as Application
    from ._application import Service as Service
    from ._bell import StopEvent as StopEvent
    from ._current import current_app as current_app
    from ._delayed import DelayedKeyboardInterrupt as DelayedKeyboardInterrupt
    from ._group import TaskGroup as TaskGroup
    from ._jobs import Job as Job
    from ._jobs import PoolStopped as PoolStopped
    from ._jobs import RunningJob as RunningJob
    from ._jobs import ThreadPoolReport as ThreadPoolReport
    from ._lifecycle import CutWork as CutWork
    from ._lifecycle import Lifecycle as Lifecycle
    from ._lifecycle import Phase as Phase
    from ._lifecycle import Report as Report
    from ._lifecycle import Watch as Watch
    from ._lifecycle import Work as Work
    from ._processes._errors import CallTimedOut as CallTimedOut
    from ._processes._errors import PoolBroken as PoolBroken
    from ._processes._errors import RemoteError as RemoteError
    from ._processes._errors import WorkerDied as WorkerDied
    from ._processes._errors import WorkerError as WorkerError
    from ._processes._errors import WorkerStartError as WorkerStartError
    from ._processes._pool import ProcessPool as ProcessPool
    from ._processes._report import ProcessPoolReport as ProcessPoolReport
    from ._processes._report import WorkerEnd as WorkerEnd
    from ._run import arun as arun
    from ._run import last_report as last_report
    from ._run import lifespan as lifespan
    from ._run import run as run
    from ._run import spawn as spawn
    from ._server.limits import ServerLimits as ServerLimits
    from ._server.report import ServerReport as ServerReport
    from ._server.request import Request as Request
    from ._server.response import Answer as Answer
    from ._server.response import EventStream as EventStream
    from ._server.response import Response as Response
    from ._server.response import ServerSentEvent as ServerSentEvent
    from ._server.server import Server as Server
    from ._server.server import serve as serve
    from ._server.websocket import ConnectionClosedError as ConnectionClosedError
    from ._server.websocket import UpgradeError as UpgradeError
    from ._server.websocket import WebSocket as WebSocket
    from ._shields import ShutdownProtection as ShutdownProtection
    from ._shields import configure_shutdown_manager as configure_shutdown_manager
    from ._shields import shield as shield
    from ._stop import Stop as Stop
    from ._stopping import StopFailed as StopFailed
    from ._stopping import Stopping as Stopping
    from ._streams import GracefulServer as GracefulServer
    from ._streams import StreamsReport as StreamsReport
    from ._threads import ThreadPool as ThreadPool
    from ._version import __version__ as __version__

__all__ = [
    "Answer",
    "App",
    "Application",
    "CallTimedOut",
    "ConnectionClosedError",
    "CutWork",
    "DelayedKeyboardInterrupt",
    "EventStream",
    "GracefulServer",
    "Job",
    "Lifecycle",
    "Phase",
    "PoolBroken",
    "PoolStopped",
    "ProcessPool",
    "ProcessPoolReport",
    "RemoteError",
    "Report",
    "Request",
    "Response",
    "RunningJob",
    "Server",
    "ServerLimits",
    "ServerReport",
    "ServerSentEvent",
    "Service",
    "ShutdownProtection",
    "Stop",
    "StopEvent",
    "StopFailed",
    "Stopping",
    "StreamsReport",
    "TaskGroup",
    "ThreadPool",
    "ThreadPoolReport",
    "UpgradeError",
    "Watch",
    "WebSocket",
    "Work",
    "WorkerDied",
    "WorkerEnd",
    "WorkerError",
    "WorkerStartError",
    "__version__",
    "arun",
    "configure_shutdown_manager",
    "current_app",
    "last_report",
    "lifespan",
    "run",
    "serve",
    "shield",
    "spawn",
]

_HOME = {
    "Answer": "._server.response",
    "App": "._app",
    "Application": "._application",
    "CallTimedOut": "._processes._errors",
    "ConnectionClosedError": "._server.websocket",
    "CutWork": "._lifecycle",
    "DelayedKeyboardInterrupt": "._delayed",
    "EventStream": "._server.response",
    "GracefulServer": "._streams",
    "Job": "._jobs",
    "Lifecycle": "._lifecycle",
    "Phase": "._lifecycle",
    "PoolBroken": "._processes._errors",
    "PoolStopped": "._jobs",
    "ProcessPool": "._processes._pool",
    "ProcessPoolReport": "._processes._report",
    "RemoteError": "._processes._errors",
    "Report": "._lifecycle",
    "Request": "._server.request",
    "Response": "._server.response",
    "RunningJob": "._jobs",
    "Server": "._server.server",
    "ServerLimits": "._server.limits",
    "ServerReport": "._server.report",
    "ServerSentEvent": "._server.response",
    "Service": "._application",
    "ShutdownProtection": "._shields",
    "Stop": "._stop",
    "StopEvent": "._bell",
    "StopFailed": "._stopping",
    "Stopping": "._stopping",
    "StreamsReport": "._streams",
    "TaskGroup": "._group",
    "ThreadPool": "._threads",
    "ThreadPoolReport": "._jobs",
    "UpgradeError": "._server.websocket",
    "Watch": "._lifecycle",
    "WebSocket": "._server.websocket",
    "Work": "._lifecycle",
    "WorkerDied": "._processes._errors",
    "WorkerEnd": "._processes._report",
    "WorkerError": "._processes._errors",
    "WorkerStartError": "._processes._errors",
    "__version__": "._version",
    "arun": "._run",
    "configure_shutdown_manager": "._shields",
    "current_app": "._current",
    "last_report": "._run",
    "lifespan": "._run",
    "run": "._run",
    "serve": "._server.server",
    "shield": "._shields",
    "spawn": "._run",
}

if sys.platform == "win32":
    _HOME.update(dict.fromkeys(("ProcessPool", "Server", "serve"), "._not_for_windows"))


def __getattr__(name: str) -> object:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(home, __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
