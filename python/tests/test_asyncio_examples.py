"""The examples of programs that start and stop, signalled at points all over their lives."""

import re
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from programs import Program

EXAMPLES = Path(__file__).parents[2] / "examples" / "python"

END = 0.4
"""Seconds from the first line that is printed to the last point: longer than it takes to start."""

OWNED = ("asyncio_lifespan", True)
"""Its block does not own the process: behind it, a second signal is Python's own."""


def in_order(output: str, *steps: str) -> bool:
    """Whether those of the steps that were printed came in that order, each once."""
    seen = [line for line in output.splitlines() if line in steps]
    return seen == [step for step in steps if step in seen]


def basic(output: str) -> None:
    assert output == "started, Ctrl-C to stop\nstopping\n"


def streams(output: str) -> None:
    assert re.fullmatch(r"started on port \d+\nstopping: StreamsReport\(.*cut=\(\).*\)\n", output)


def tasks(output: str) -> None:
    assert in_order(output, "started", "stopping", "not finished: ()")
    assert sorted(re.findall(r"worker-\d stopped", output)) == [
        f"worker-{number} stopped" for number in (1, 2, 3)
    ]


def database(output: str) -> None:
    begun = re.findall(r"request (\d+) begun", output)
    finished = re.findall(r"request (\d+) finished", output)
    assert sorted(begun) == sorted(finished)
    assert in_order(output, "starting", "connected", "closed")
    assert output.endswith("closed\n" if "connected" in output else "starting\n")


def lifespan(output: str) -> None:
    steps = ("starting", "database opens", "cache opens", "started", "cache closed")
    assert in_order(output, *steps, "database closed")
    for name in ("cache", "database"):
        assert (f"{name} opens" in output) == (f"{name} closed" in output)


def delayed(output: str) -> None:
    assert in_order(output, "starting", "started", "stopped", "interrupted while stopping")
    assert "started\nstopped\n" in output


def services(output: str) -> None:
    assert in_order(
        output,
        *("starting", "storage started", "listener started"),
        *("listener stopped", "storage stopped"),
    )
    for name in ("storage", "listener"):
        assert (f"{name} started" in output) == (f"{name} stopped" in output)
    assert output.endswith("storage stopped\n")


CHECKS = {
    "asyncio_basic": basic,
    "asyncio_streams": streams,
    "asyncio_tasks": tasks,
    "asyncio_database": database,
    "asyncio_lifespan": lifespan,
    "delayed_interrupt": delayed,
    "services": services,
}


LIVES = pytest.mark.parametrize(
    ("name", "twice"),
    [(name, twice) for name in CHECKS for twice in (False, True) if (name, twice) != OWNED],
)


@LIVES
def test_it_stops_well_whenever_it_is_told(name: str, twice: bool) -> None:
    # Other points for one signal than for two.
    sweep(name, twice, [0.01, *(0.035 * point for point in range(twice, 12, 2))])


@LIVES
@pytest.mark.soak
@pytest.mark.timeout(600)
def test_it_stops_well_at_every_point(name: str, twice: bool) -> None:
    sweep(name, twice, [0.005 * point for point in range(int(END / 0.005) + 1)])


def sweep(name: str, twice: bool, points: list[float]) -> None:
    with ThreadPoolExecutor(4) as side_by_side:
        for _ in side_by_side.map(lambda point: stopped(name, twice, *point), enumerate(points)):
            pass


def stopped(name: str, twice: bool, number: int, point: float) -> None:
    sent = signal.SIGINT if name == "delayed_interrupt" or number % 4 < 2 else signal.SIGTERM
    with Program(EXAMPLES / f"{name}.py") as program:
        program.until("start")
        time.sleep(point)
        program.send(sent, group=number % 3 == 0)
        if twice:
            program.pause()
            program.send(sent, group=number % 3 == 0)
        status = program.end()
        told = f"{sent.name} after {point} s:\n{program.output}"
        assert "Traceback" not in program.output, told
        assert status == 0, told
        CHECKS[name](program.output)
        assert not program.is_group_alive(), told


def test_clients_of_the_streams_are_answered_and_told() -> None:
    with Program(EXAMPLES / "asyncio_streams.py") as program:
        program.until("\n")
        port = int(program.output.split("port ")[1])
        with socket.create_connection(("127.0.0.1", port), 30) as client:
            client.sendall(b"line\n" * 200)
            with client.makefile("rb") as stream:
                assert stream.readline() == b"Echo: line\n"
                program.send(signal.SIGTERM)
                rest = stream.read()
        assert rest == b"Echo: line\n" * 199 + b"Server is shutting down. Goodbye!\r\n"
        assert program.end() == 0


def test_a_busy_executor_does_not_keep_the_program() -> None:
    with Program(EXAMPLES / "busy_executor.py") as program:
        program.until("started")
        program.send(signal.SIGINT)
        assert program.end() == 3
        assert "storage closed" in program.output
        assert "still there: thread worker_0, in process" in program.output
