"""Everything from everywhere, under load: nothing crashes, nothing hangs (`stress.py`)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SECONDS = 600 if os.environ.get("EXEUNT_SOAK") == "1" else 4


@pytest.mark.timeout(SECONDS + 120)
def test_everything_from_everywhere_is_survived() -> None:
    command = [sys.executable, str(Path(__file__).with_name("stress.py")), str(SECONDS)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS + 90)
    print(ran.stdout)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert " requests" in ran.stdout
    assert " signals" in ran.stdout
