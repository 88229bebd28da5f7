"""The examples that are stopped at every point of their lives.

Each program that the guides to graceful shutdown show in Python has its counterpart here: those of
asyncio, of delayed interrupts and of workers as examples of ours; those that need no change but of
their import (`seeds`), too, as they stand.
"""

from pathlib import Path
from signal import SIGINT

import lives_checks as checks
from lives import EXAMPLES, SEEDS, Check, Life
from lives_clients import asking, lines, pages

_GOODBYE = b"Server is shutting down. Goodbye!\r\n"


def _run(name: str, *its: Check, begins: str = "starting", **more: object) -> Life:
    """An example that `exeunt.run` runs."""
    return Life(name, EXAMPLES / f"{name}.py", (checks.clean, *its), begins=begins, **more)  # type: ignore[arg-type]


def _block(path: Path, *its: Check, argument: str = "", run: float) -> Life:
    arguments = (argument,) if argument else ()
    name = path.stem if path.parent == EXAMPLES else f"seeds/{path.stem}"
    return Life(name, path, (checks.shields, *its), arguments, "ready", run, run)


def _threads(mode: str, *its: Check) -> Life:
    ends = (checks.own_end("bye"), checks.worker_threads, *its)
    return Life(f"worker_threads {mode}", EXAMPLES / "worker_threads.py", ends, (mode,))


def _processes(method: str, run: float, stop: float) -> Life:
    ends = (checks.clean, checks.worker_processes)
    script = EXAMPLES / "worker_processes.py"
    return Life(f"worker_processes {method}", script, ends, (method,), run=run, stop=stop)


def _delayed(name: str, method: str, groups: tuple[bool, ...] = (False, True)) -> Life:
    return Life(
        f"seeds/{name} {method}",
        SEEDS / f"{name}.py",
        (checks.delayed_end("bye"), checks.delayed_child),
        (method,),
        signals=(SIGINT,),
        groups=groups,
    )


LIVES = [
    _run("asyncio_basic", checks.basic, begins="started, Ctrl-C to stop", run=0.1, stop=0.05),
    _run(
        "asyncio_streams",
        checks.streams,
        begins="started",
        run=0.2,
        stop=0.4,
        clients=asking(r"port (\d+)\n", lines(b"Echo: line\n", _GOODBYE)),
    ),
    _run("asyncio_cancel", checks.cancelled, run=0.1, stop=0.1),
    _run("asyncio_tasks", checks.tasks, begins="started", run=0.15, stop=0.1),
    _run("asyncio_database", checks.database, run=0.3, stop=0.15),
    _run(
        "asyncio_order",
        checks.order,
        run=0.3,
        stop=0.5,
        clients=asking(r"port (\d+)\n", lines(b"Answer: line\n", b"")),
    ),
    _run(
        "aiohttp_app",
        checks.aiohttp,
        run=0.3,
        stop=0.4,
        clients=asking(r"http://127.0.0.1:(\d+)", pages),
        arguments=("0",),
        strict=False,
    ),
    Life(
        "asyncio_lifespan",
        EXAMPLES / "asyncio_lifespan.py",
        (checks.own_end("database closed"), checks.lifespan),
        run=0.2,
    ),
    Life("busy_executor", EXAMPLES / "busy_executor.py", (checks.busy,), run=0.1, stop=0.6),
    _run("services", checks.services, run=0.25, stop=0.15),
    Life(
        "delayed_interrupt",
        EXAMPLES / "delayed_interrupt.py",
        (checks.delayed_end("stopped"), checks.delayed),
        run=0.25,
        stop=0.25,
    ),
    Life(
        "seeds/delayed_usage",
        SEEDS / "delayed_usage.py",
        (checks.delayed_end("bye"), checks.delayed),
        run=0.25,
        stop=0.25,
    ),
    _delayed("delayed_worker", "fork"),
    _delayed("delayed_worker", "spawn", (False,)),
    _delayed("delayed_ignored", "fork"),
    _delayed("delayed_ignored", "spawn", (False,)),
    _delayed("delayed_synchronized", "fork"),
    _delayed("delayed_synchronized", "spawn", (False,)),
    _block(EXAMPLES / "shields_block.py", argument="6", run=0.14),
    _block(EXAMPLES / "shields_plain.py", checks.closed, argument="100", run=0.14),
    _block(EXAMPLES / "shields_thread.py", argument="5", run=0.12),
    _block(EXAMPLES / "shields_tasks.py", argument="5", run=0.17),
    _block(SEEDS / "shields_usage.py", run=0.12),
    _block(SEEDS / "shields_configure.py", checks.closed, run=0.15),
    _block(SEEDS / "shields_thread.py", run=0.17),
    _threads("finish", checks.nothing_kept),
    _threads("hand-back"),
    _processes("fork", 0.2, 0.1),
    _processes("forkserver", 0.4, 0.1),
    _processes("spawn", 0.5, 0.1),
    Life("complex", EXAMPLES / "complex.py", (checks.clean, checks.several), run=0.6, stop=0.2),
]
