"""The examples `background.py` and `own_loop.py`, and drills of what stops a manager."""

import http.client
import os
import shutil
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from running import PATIENCE, program

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "python"
URL = "http://127.0.0.1:0"


@pytest.mark.parametrize(
    ("example", "what"),
    [
        ("background.py", signal.SIGINT),
        ("background.py", None),
        ("own_loop.py", signal.SIGINT),
        ("own_loop.py", signal.SIGTERM),
        ("own_loop.py", signal.SIGUSR1),
    ],
)
def test_it_serves_and_stops(example: str, what: signal.Signals | None) -> None:
    with program(argv=[str(EXAMPLES / example), URL]) as run:
        run.wait_for("\n")
        port = int(run.wait_for("serving on port ").split()[3])
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as client:
            client.request("GET", "/")
            assert client.getresponse().read() == b"hello\n"
        if what is None:
            run.say("\n")
        else:
            run.kill(what)
        status, out = run.end()
    assert status == 0, out
    assert "\ndrained in " in out
    assert "Traceback" not in out


def drill() -> str | None:
    """The command, if it was built."""
    given = os.environ.get("EXEUNT_COMMAND")
    built = [given] if given else [ROOT / "target" / it / "exeunt" for it in ("release", "debug")]
    return next((str(it) for it in built if it and shutil.which(it)), None)


SOAK = os.environ.get("EXEUNT_SOAK") == "1"
DRILLED = {
    "run": ("SIGTERM", EXAMPLES / "event_loop.py"),
    "stop": ("SIGINT", Path(__file__).with_name("drilled_stop.py")),
    "drain": ("SIGTERM", EXAMPLES / "own_loop.py"),
    "close": ("SIGINT", Path(__file__).with_name("drilled_close.py")),
}


@pytest.mark.timeout(900 if SOAK else 120)
@pytest.mark.parametrize("end", DRILLED)
def test_nothing_is_lost_in_stops_under_load(end: str) -> None:
    command = drill()
    if command is None:
        pytest.skip("exeunt is not built: cargo build, or EXEUNT_COMMAND")
    what, script = DRILLED[end]
    rounds = "100" if SOAK else "3"
    arguments = ["drill", "--rounds", rounds, "--scenario", "keepalive", "--scenario", "fresh"]
    served = ["--", sys.executable, str(script), "http://127.0.0.1:{port}"]
    ran = subprocess.run(
        [command, *arguments, "--signal", what, *served],
        stdin=subprocess.PIPE,
        capture_output=True,
        text=True,
    )
    if ran.returncode == 4 and not SOAK:
        pytest.skip("the machine is too busy to tell")
    assert ran.returncode == 0, ran.stdout + ran.stderr
