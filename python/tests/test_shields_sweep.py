"""The programs of the documentation, signalled at every point of their lives.

A dozen points each; every 5 ms of them with EXEUNT_SOAK=1.
"""

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from running import Program, program

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples" / "python"
SEEDS = HERE / "seeds"
INT, TERM = signal.SIGINT, signal.SIGTERM

PROGRAMS = [
    (EXAMPLES / "shields_block.py", ["6"], 0.12),
    (EXAMPLES / "shields_plain.py", ["6"], 0.12),
    (EXAMPLES / "shields_thread.py", ["5"], 0.1),
    (EXAMPLES / "shields_tasks.py", ["5"], 0.15),
    (SEEDS / "shields_usage.py", [], 0.1),
    (SEEDS / "shields_configure.py", [], 0.2),
    (SEEDS / "shields_thread.py", [], 0.15),
]


@pytest.mark.parametrize(
    ("path", "arguments", "life"), PROGRAMS, ids=lambda value: str(value)[-20:]
)
def test_p40_the_programs_of_the_documentation_end_whole(
    path: Path, arguments: list[str], life: float
) -> None:
    for number in range(8):
        signalled(path, arguments, life * number / 7, number)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("path", "arguments", "life"), PROGRAMS, ids=lambda value: str(value)[-20:]
)
def test_p40_every_5_ms_of_their_lives(path: Path, arguments: list[str], life: float) -> None:
    for point in range(int(life / 0.005) + 4):
        for way in range(8):
            signalled(path, arguments, point * 0.005, way)


def signalled(path: Path, arguments: Sequence[str], after: float, way: int) -> None:
    """SIGINT or SIGTERM, once or twice, to the process or its group, that long after its start."""
    sent = TERM if way & 1 else INT
    with program(argv=[str(path), *arguments]) as running:
        running.wait_for("ready\n")
        # Not waited for: any moment will do.
        time.sleep(after)
        for _ in range(2 if way & 2 else 1):
            send(running, sent, to_group=bool(way & 4))
        status, out = running.end()
    where = f"{path.name}, {sent.name} after {after:.3f} s, way {way}: status {status}\n{out}"
    lines = out.splitlines()
    words = [line.split(maxsplit=1) for line in lines if line.strip()]
    begun = [word[1:] for word in words if word[0] == "begin"]
    ended = [word[1:] for word in words if word[0] == "end"]
    assert begun == ended or sorted(begun) == sorted(ended), where
    assert "rollback" not in out, where
    if "Exception ignored in: <module 'threading'" in out:
        pytest.xfail(f"a signal in the very end of the interpreter, a known gap: {where}")
    assert "Exception ignored" not in out, where
    # Behind its end a program may be killed by the signal, which acts by default then.
    if status not in (0, -sent):
        assert status == 1, where
        assert sent == TERM, where
    assert out.count("Traceback") == (status == -INT and "Traceback" in out), where
    assert ("closed\n" in out) == ("closed" in path.read_text()), where


def send(running: Program, what: signal.Signals, *, to_group: bool) -> None:
    try:
        if to_group:
            os.killpg(running.pid, what)
        else:
            os.kill(running.pid, what)
    except ProcessLookupError:
        pass
