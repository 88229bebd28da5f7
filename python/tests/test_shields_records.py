"""The guarantee: a record of two parts is never half written, whenever signals come."""

import os
import random
import signal
import time
from pathlib import Path

import pytest
from shielded import shielded

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# Two threads and the main one append records; what was written is the pair, or nothing.
WRITER = """
import sys, threading, time
from exeunt import ShutdownProtection, configure_shutdown_manager
configure_shutdown_manager()
def write(name):
    file = os.open(f"{sys.argv[1]}.{name}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with ShutdownProtection() as block:
        for number in range(1000000):
            os.write(file, b"(")
            time.sleep(0.0005)
            os.write(file, b")")
            block.allow_break()
def each(name):
    file = os.open(f"{sys.argv[1]}.{name}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in range(1000000):
        with ShutdownProtection():
            os.write(file, b"(")
            time.sleep(0.0005)
            os.write(file, b")")
threads = [threading.Thread(target=write, args=("a",), daemon=True),
           threading.Thread(target=each, args=("b",), daemon=True)]
for thread in threads:
    thread.start()
print("ready")
each("main")
"""


def written(tmp_path: Path, wanted: int) -> int:
    """Starts the writer, and signals it at random, until that many records are there."""
    chance = random.Random(wanted)
    path = tmp_path / "records"
    records = 0
    while records < wanted:
        with shielded(WRITER, argv=[str(path)]) as running:
            running.wait_for("ready\n")
            time.sleep(chance.uniform(0, 0.15))
            for _ in range(chance.randint(1, 2)):
                os.kill(running.pid, chance.choice(SIGNALS))
            status, out = running.end()
        # Behind its end a program may be killed by the second.
        assert status in (1, *(-signum for signum in SIGNALS)), out
        records = 0
        for name in ("a", "b", "main"):
            text = Path(f"{path}.{name}").read_bytes()
            assert text == b"()" * (len(text) // 2), f"half a record in {name}: {out}"
            records += len(text) // 2
    return records


def test_p40_no_record_is_half_written(tmp_path: Path) -> None:
    assert written(tmp_path, 600) >= 600


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_p40_none_of_ten_thousand_is(tmp_path: Path) -> None:
    assert written(tmp_path, 10_000) >= 10_000
