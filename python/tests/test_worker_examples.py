"""The examples with workers, stopped by signals at points all over their lives (P61, P64, P65,
P68).
"""

import itertools
import os
import signal
from pathlib import Path

import pytest
from pool_programs import EXAMPLES, Program, run_and_signal
from pools import run_script, until

VARIANTS = list(itertools.product((signal.SIGINT, signal.SIGTERM), (False, True), (False, True)))


def points(number: int, last: float) -> list[tuple[float, int, bool, bool]]:
    """Some points in time from the start on, with what is sent then, how often and to whom."""
    variants = itertools.cycle(VARIANTS)
    return [(n * last / number, *next(variants)) for n in range(number)]


@pytest.mark.parametrize("mode", ["finish", "hand-back"])
@pytest.mark.parametrize(("delay", "signum", "twice", "group"), points(6, 0.2))
def test_worker_threads(delay: float, signum: int, twice: bool, group: bool, mode: str) -> None:
    check_threads(delay, signum, twice, group, mode)


@pytest.mark.parametrize(("delay", "signum", "twice", "group"), points(6, 0.6))
def test_worker_processes(delay: float, signum: int, twice: bool, group: bool) -> None:
    check_processes(delay, signum, twice, group, "spawn")


@pytest.mark.parametrize("method", ["fork", "forkserver"])
@pytest.mark.parametrize(("delay", "signum", "twice", "group"), points(3, 0.3))
def test_worker_processes_that_are_forked(
    delay: float, signum: int, twice: bool, group: bool, method: str
) -> None:
    check_processes(delay, signum, twice, group, method)


@pytest.mark.parametrize(("delay", "signum", "twice", "group"), points(5, 0.7))
def test_complex(delay: float, signum: int, twice: bool, group: bool) -> None:
    check_complex(delay, signum, twice, group)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_5_ms(variant: tuple[int, bool, bool]) -> None:
    for step in range(140):
        delay = step * 0.005
        check_threads(delay, *variant, ("finish", "hand-back")[step % 2])
        check_processes(delay, *variant, ("spawn", "fork", "forkserver")[step % 3])
        check_complex(delay, *variant)


def check_threads(delay: float, signum: int, twice: bool, group: bool, mode: str) -> None:
    command = [str(EXAMPLES / "worker_threads.py"), mode]
    program = run_and_signal(command, delay, signum, twice=twice, group=group)
    assert program.said[-1] == "bye"
    finished, kept = program.numbers("finished"), program.numbers("kept")
    assert program.numbers("began") == finished
    assert sorted(finished + kept) == program.numbers("accepted")
    if mode == "finish":
        assert kept == []


def check_processes(delay: float, signum: int, twice: bool, group: bool, method: str) -> None:
    command = [str(EXAMPLES / "worker_processes.py"), method]
    program = run_and_signal(command, delay, signum, twice=twice, group=group)
    assert program.numbers("began") == program.numbers("finished")
    # Who was started was stopped, and is not there any more.
    workers = [line.split() for line in program.said if line.startswith("worker ")]
    assert sorted(pid for _, pid, what in workers if what == "started") == sorted(
        pid for _, pid, what in workers if what == "stopped"
    )


def check_complex(delay: float, signum: int, twice: bool, group: bool) -> None:
    command = [str(EXAMPLES / "complex.py")]
    program = run_and_signal(command, delay, signum, twice=twice, group=group)
    services = [line for line in program.said if line.startswith("service ")]
    started = [line.split()[1] for line in services if line.endswith("started")]
    assert [line for line in services if "stopped" in line] == [
        f"service {number} stopped, clean: True" for number in reversed(started)
    ]
    for number in "12":
        assert program.said.count(f"began {number}") == program.said.count(f"finished {number}")


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
