"""Programs with workers that are killed, or written wrong (P61, P64, P65, P68).

Signals at all points of the examples' lives are in `test_sweep`.
"""

import os
import signal
from pathlib import Path

import pytest
from pool_programs import Program
from pools import run_script, until

BUSY = """
import os, sys
import exeunt
def busy(path):
    open(path, "w").close()
    sum(range(10**13))  # in C, with the GIL
if __name__ == "__main__":
    pool = exeunt.ProcessPool(workers=2, start_method=sys.argv[1], bootstrap_timeout=30)
    pool.start()
    for n in range(2):
        pool.submit(busy, sys.argv[2] + str(n))
    print("starting")
    pool.submit(print).result()
"""


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_kill_9_of_the_program_leaves_no_worker(method: str, tmp_path: Path) -> None:
    script = tmp_path / "busy.py"
    script.write_text(BUSY)
    program = Program(str(script), method, str(tmp_path / "busy"))
    try:
        program.await_line("starting")
        until(lambda: all((tmp_path / f"busy{n}").exists() for n in range(2)), "the calls")
        assert len(program.left()) >= 2
        os.kill(program.process.pid, signal.SIGKILL)
        assert program.end() == -signal.SIGKILL
        until(lambda: program.left() == [], f"the end of {program.left()}")
    finally:
        program.kill()


STRUCK_AT_BIRTH = """
import os, signal, sys
import exeunt
def strike():
    for signum in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        os.kill(os.getpid(), signum)
os.register_at_fork(after_in_child=strike)
if __name__ == "__main__":
    with exeunt.ProcessPool(workers=2, start_method=sys.argv[1], bootstrap_timeout=30) as pool:
        pool.call(abs, 1)
    print(pool.report.clean)
"""


@pytest.mark.parametrize("method", ["fork", "forkserver"])
def test_signals_wait_from_the_very_fork(method: str, tmp_path: Path) -> None:
    script = tmp_path / "struck.py"
    script.write_text(STRUCK_AT_BIRTH)
    program = Program(str(script), method)
    try:
        assert program.end() == 0
        assert (program.said, program.errors) == (["True"], "")
    finally:
        program.kill()


UNGUARDED = """
import sys
import exeunt
print("imported")
with exeunt.ProcessPool(workers=2, start_method=sys.argv[1], bootstrap_timeout=30) as pool:
    pool.call(abs, 1)
"""


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_a_program_without_a_guard_is_told(method: str, tmp_path: Path) -> None:
    script = tmp_path / "unguarded.py"
    script.write_text(UNGUARDED)
    program = Program(str(script), method)
    try:
        assert program.end() == 1
        assert "put what starts them under `if __name__ == '__main__':`" in program.errors
        assert program.said.count("imported") <= 3
        until(lambda: program.left() == [], f"the end of {program.left()}")
    finally:
        program.kill()


NEVER_STOPPED = """
import sys
import exeunt
exeunt.ThreadPool  # before anything of multiprocessing, whose exit handler waits for its children
def late(n):
    print("finished", n, flush=True)
if __name__ == "__main__":
    pool = exeunt.ProcessPool(workers=1, start_method="fork", stop_timeout=float(sys.argv[1]))
    pool.start()
    if sys.argv[1] != "30":
        import time
        pool.submit(time.sleep, 60)
    for n in range(5):
        pool.submit(late, n)
"""


@pytest.mark.parametrize(("timeout", "finished"), [("30", 5), ("0.3", 0)])
def test_a_pool_that_nobody_stops_ends_with_the_program(timeout: str, finished: int) -> None:
    ended = run_script(NEVER_STOPPED, timeout)
    assert ended.returncode == 0
    assert ended.stdout.count("finished") == finished
    assert ("sleep was cut after" in ended.stderr) == (finished == 0)
    assert "Traceback" not in ended.stderr
