"""No call, in any order, from any thread, crashes or hangs the process (`orders.py` makes them)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from orders_calls import CALLS

from exeunt import mongoose

SECONDS = 600 if os.environ.get("EXEUNT_SOAK") == "1" else 15
# Called by the state machine itself, which sees to it that it ends.
APART = {"run"}


@pytest.mark.timeout(SECONDS + 180)
def test_calls_in_any_order_are_survived(tmp_path: Path) -> None:
    log = tmp_path / "last-example"
    program = Path(__file__).with_name("orders.py")
    command = [sys.executable, "-X", "dev", str(program), str(SECONDS), str(log)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS + 150)
    if ran.returncode != 0:
        last = log.read_text(errors="replace").splitlines()[-60:]
        pytest.fail("\n".join([f"status {ran.returncode}", ran.stdout, ran.stderr[-8000:], *last]))
    print(ran.stdout)
    assert "examples in" in ran.stdout


@pytest.mark.parametrize(
    ("kind", "classes"),
    [
        ("manager", [mongoose.Manager]),
        ("connection", [mongoose.Connection]),
        ("timer", [mongoose.Timer]),
        ("view", [mongoose.HttpMessage, mongoose.WsMessage]),
    ],
)
def test_nothing_public_is_left_out(kind: str, classes: list[type]) -> None:
    public = {name for one in classes for name in dir(one) if not name.startswith("_")}
    assert public == APART & public | {name for name in CALLS[kind] if not name.startswith("_")}
