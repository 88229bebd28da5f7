"""No call, in any order, from any thread, crashes or hangs the process (`orders.py` makes them)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SECONDS = 600 if os.environ.get("EXEUNT_SOAK") else 15


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
