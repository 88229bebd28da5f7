"""Programs that were written for the Mongoose model, with their import changed and nothing else.

They are in `seeds`, as guides to that model show them; what is a fragment there is completed. Each
listens on port 8000, so each runs in a network namespace of its own.
"""

import json
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pytest

SEEDS = Path(__file__).with_name("seeds")
OK = (200, '{"ok":true}')


@dataclass(frozen=True)
class Scenario:
    """What is done to a program: it is asked so often, and gets a signal, or a line at its stdin.

    With `until`, that comes when it has said this.
    """

    program: str
    asks: int = 2
    signal: str = ""
    says: str = ""
    until: str = ""

    def __str__(self) -> str:
        return f"{self.program} {self.signal or self.says.strip() or 'alone'}"


@dataclass(frozen=True)
class Said:
    """What became of it."""

    answers: list[tuple[int, str]]
    status: int
    output: str
    free: bool
    left: bool
    took: float


NAMESPACE = ["unshare", "--user", "--map-root-user", "--net"]


@pytest.fixture(scope="module", autouse=True)
def _namespaces() -> None:
    if shutil.which("unshare") is None or subprocess.run([*NAMESPACE, "true"]).returncode:
        pytest.skip("this system gives no network namespaces")


def run(scenario: Scenario, folder: Path = SEEDS) -> Said:
    told = json.dumps(asdict(replace(scenario, program=str(folder / scenario.program))))
    command = [*NAMESPACE, sys.executable, str(SEEDS.with_name("seeds_driver.py")), told]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=55)
    assert ran.returncode == 0, ran.stderr
    said = json.loads(ran.stdout)
    said["answers"] = [tuple(answer) for answer in said["answers"]]
    return Said(**said)


BOTH = ("SIGINT", "SIGTERM")
HANDLED = [
    *(Scenario("basic.py", signal=what) for what in ("SIGINT",)),
    *(Scenario("signals.py", signal=what) for what in BOTH),
    Scenario("threads.py", signal="SIGINT"),
    Scenario("threads.py", says="\n"),
    Scenario("context.py", signal="SIGINT"),
    *(Scenario("complete.py", signal=what) for what in BOTH),
    Scenario("stop_first.py", says="\n"),
    Scenario("interrupted.py", signal="SIGINT"),
    *(Scenario("flagged.py", signal=what) for what in BOTH),
    *(Scenario("signal_handlers.py", signal=what) for what in BOTH),
    *(Scenario("asynchronous.py", signal=what) for what in BOTH),
    *(Scenario("drained.py", signal=what) for what in BOTH),
    *(Scenario("active.py", signal=what) for what in BOTH),
    *(Scenario("workers.py", signal=what) for what in BOTH),
    *(Scenario("timers.py", signal=what, until="three times") for what in BOTH),
    *(Scenario("timeouts.py", signal=what) for what in BOTH),
]
OUTPUT = {
    "basic.py": "Shutting down...\nCleanup complete\n",
    "signals.py": "gracefully...\nCleaning up...\nServer stopped cleanly\n",
    "threads.py": "Stopping server...\nServer stopped\n",
    "context.py": "Server running...\nShutting down...\n",
    "complete.py": "[INFO] Server stopped cleanly\n",
    "signal_handlers.py": "Shutting down...\nServer stopped cleanly\n",
    "active.py": "active connections...\n",
    "workers.py": "Waiting for workers...\n",
    "timers.py": "three times\nfired True\n",
}
ANSWER = {
    "complete.py": (200, '{"status":"ok","message":"Hello from pymongoose"}'),
    "drained.py": (200, "Goodbye!"),
    "timeouts.py": (408, "Request Timeout"),
}


@pytest.mark.parametrize("scenario", HANDLED, ids=str)
def test_what_it_handles_stops_it_well(scenario: Scenario) -> None:
    said = run(scenario)
    assert said.answers == [ANSWER.get(scenario.program, OK)] * 2
    assert said.output.endswith(OUTPUT.get(scenario.program, ""))
    assert "Traceback" not in said.output
    assert (said.status, said.free, said.left) == (0, True, False)


DEFAULTS = [
    *(Scenario(it, signal="SIGTERM") for it in ("basic.py", "threads.py", "context.py")),
    *(Scenario(it, signal="SIGTERM") for it in ("forgotten.py", "interrupted.py", "template.py")),
    *(Scenario(it, signal="SIGINT") for it in ("forgotten.py", "template.py")),
    *(Scenario(it, signal="SIGHUP") for it in ("signals.py", "complete.py", "flagged.py")),
]


@pytest.mark.parametrize("scenario", DEFAULTS, ids=str)
def test_what_it_does_not_handle_ends_it_as_ever(scenario: Scenario) -> None:
    said = run(scenario)
    assert said.answers == [ANSWER.get(scenario.program, OK)] * 2
    number = {"SIGTERM": 15, "SIGINT": 2, "SIGHUP": 1}[scenario.signal]
    # Of an interrupt that nobody catches, Python dies by SIGINT itself.
    assert (said.status, said.free, said.left) == (-number, True, False)


def test_what_is_called_wrong_says_so() -> None:
    for program, text in [
        ("freed.py", "RuntimeError: Manager has been freed"),
        ("reused.py", "RuntimeError"),
    ]:
        said = run(Scenario(program, asks=0))
        assert said.status == 1
        assert text in said.output
    said = run(Scenario("under.py", says="\n"))
    # Between two polls it may be closed, and the thread is told; else it is refused.
    assert said.status in (0, 1)
    assert "RuntimeError" in said.output
    assert (said.free, said.left) == (True, False)
