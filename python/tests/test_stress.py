"""Everything from everywhere, under load: nothing crashes, nothing hangs, nothing is lost."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SECONDS = 600 if os.environ.get("EXEUNT_SOAK") == "1" else 4


def run(script: str) -> str:
    command = [sys.executable, str(Path(__file__).with_name(script)), str(SECONDS)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS + 90)
    print(ran.stdout)
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


@pytest.mark.timeout(SECONDS + 120)
def test_everything_from_everywhere_is_survived() -> None:
    said = run("stress.py")
    assert " requests" in said
    assert " signals" in said


@pytest.mark.timeout(SECONDS + 120)
def test_pools_whose_workers_are_killed_lose_no_job() -> None:
    said = run("pool_stress.py")
    assert " programs" in said
    assert "failures: 0" in said
