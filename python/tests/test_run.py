"""P53 to P56: `exeunt.run`, as processes that are stopped."""

import re
import signal
from pathlib import Path

import pytest
from programs import Program

PROGRAM = """
import asyncio, logging, os, signal, sys, threading, time
import exeunt

logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
which = sys.argv[1]


def stop(*, after=0.0):
    os_kill = lambda: os.kill(os.getpid(), signal.SIGTERM)
    asyncio.get_running_loop().call_later(after, os_kill)


async def stubborn():
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            continue


async def leave():
    sys.exit(9)


async def fail():
    raise ValueError("of the task")


async def main(app):
    await app.component("first", lambda: 1, lambda value: print("first closes", value))
    await app.component("second", asyncio.sleep(0, 2), lambda value: asyncio.sleep(0))
    if which == "task":
        app.spawn(stubborn(), name="stubborn")
    if which == "uncounted":
        app.kept = asyncio.create_task(stubborn(), name="stubborn")
    if which == "thread":
        threading.Thread(target=time.sleep, args=(60,), name="stubborn").start()
    if which == "executor":
        asyncio.get_running_loop().run_in_executor(None, time.sleep, 60)
    if which == "own executor":
        from concurrent.futures import ThreadPoolExecutor
        ThreadPoolExecutor(1, "stubborn").submit(time.sleep, 60)
    if which == "idle executor":
        from concurrent.futures import ThreadPoolExecutor
        app.pool = ThreadPoolExecutor(1)
        app.pool.submit(print, "worked").result()
    if which == "cut":
        app.spawn(asyncio.sleep(60), name="slow")
    if which == "leaves":
        sys.exit(7)
    if which == "task leaves":
        app.spawn(leave())
    if which == "fails":
        raise ValueError("of main")
    if which == "task fails":
        app.spawn(fail(), name="failing")
    if which == "essential task fails":
        app.spawn(fail(), name="failing", essential=True)
    if which == "close fails":
        await app.component("third", lambda: None, lambda: 1 / 0)
    if which == "close hangs":
        await app.component("third", lambda: None, lambda: asyncio.sleep(60), timeout=0.05)
    if which == "sync close hangs":
        await app.component("third", lambda: None, lambda: time.sleep(60), timeout=0.05)
    if which == "returns":
        return "value"
    print("up")
    if "task" not in which or which in ("task", "task fails"):
        stop()
    if which == "blocked":
        await app.stop.wait()
        time.sleep(60)
    if which == "forced":
        stop(after=0.05)
        stop(after=0.1)
        await asyncio.sleep(60)
    await app.stop.wait()
    if which == "late":
        await app.component("late", lambda: print("never"))
    return "value"


if __name__ == "__main__":
    print("returned", exeunt.run(main, grace=3.0))
    print("report", exeunt.last_report().exit_status)
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "program.py"
    path.write_text(PROGRAM)
    return path


def ended(path: Path, which: str) -> tuple[int, str]:
    with Program(path, which) as program:
        status = program.end()
        assert not program.is_group_alive()
        return status, program.output


@pytest.mark.parametrize("which", ["signal", "returns", "idle executor"])
def test_a_clean_stop_returns_what_main_returned(path: Path, which: str) -> None:
    status, output = ended(path, which)
    assert status == 0
    assert "returned value\nreport 0\n" in output
    steps = ["closing second", "closing first", "first closes 1", "closing threads"]
    assert [line for line in output.splitlines() if line in steps] == steps


@pytest.mark.parametrize(
    ("which", "name"),
    [
        ("task", "task stubborn"),
        ("uncounted", "uncounted task stubborn"),
        ("thread", "thread stubborn"),
        ("executor", "thread asyncio_0"),
        ("own executor", "thread stubborn_0"),
    ],
)
def test_what_does_not_end_is_named_and_left(path: Path, which: str, name: str) -> None:
    status, output = ended(path, which)
    assert status == 3
    assert f"left behind: {name}" in output
    assert "first closes 1" in output
    assert "the process ends; still there: " in output
    assert "Traceback" not in output


def test_a_loop_that_is_blocked_does_not_keep_the_process(path: Path) -> None:
    status, output = ended(path, "blocked")
    assert status == 1  # its components could not close
    assert "the process ends" in output


@pytest.mark.parametrize(
    ("which", "status", "said"),
    [
        ("cut", 3, "task slow was cut"),
        ("forced", 128 + signal.SIGTERM, "forced by SIGTERM, attempt 3"),
        ("leaves", 7, "stop requested: main has ended"),
        ("task leaves", 9, "stop requested: SystemExit in a task"),
        ("fails", 1, "ValueError: of main"),
        ("task fails", 1, "task failing failed"),
        ("essential task fails", 1, "stop requested: failing failed: ValueError: of the task"),
        ("close fails", 1, "closing third failed"),
        ("close hangs", 1, "third did not close in time"),
        ("sync close hangs", 1, "third takes too long"),
    ],
)
def test_the_exit_status_says_how_it_ended(path: Path, which: str, status: int, said: str) -> None:
    ended_with, output = ended(path, which)
    assert ended_with == status
    assert said in output
    closed = re.findall(r"first closes 1", output)
    assert len(closed) == (0 if which == "forced" else 1)


def test_nothing_starts_behind_the_stop_request(path: Path) -> None:
    status, output = ended(path, "late")
    assert status == 0
    assert "never" not in output
    assert "returned None" in output


def test_signals_behind_the_stop_do_nothing_but_for_the_third() -> None:
    with Program("""
        import asyncio, signal
        import exeunt

        async def main(app):
            signal.raise_signal(signal.SIGTERM)
            await app.stop.wait()

        exeunt.run(main)
        signal.raise_signal(signal.SIGINT)
        print("still here")
        signal.raise_signal(signal.SIGTERM)
        print("never")
        """) as program:
        assert program.end() == -signal.SIGTERM
        assert program.output == "still here\n"


def test_signals_are_as_they_were_behind_a_program_that_ended_by_itself() -> None:
    with Program("""
        import signal
        import exeunt

        async def main():
            return 5

        assert exeunt.run(main()) == exeunt.run(main) == 5
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        """) as program:
        assert program.end() == 0, program.output
