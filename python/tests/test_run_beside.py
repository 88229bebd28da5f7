"""`exeunt.run` beside what else a program does: forks, loops and blocks in main, streams that are
closed.
"""

import signal
import subprocess
import sys

import pytest
from programs import PATIENCE, Program


def test_a_child_that_main_forks_and_leaves_takes_nothing_from_the_parent() -> None:
    program = """
    import asyncio, os, sys, warnings
    import exeunt

    # From Python 3.12 on, of forks beside threads.
    warnings.simplefilter("ignore", DeprecationWarning)

    def main(app):
        child = os.fork()
        if child == 0:
            sys.exit(4)
        print("child", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        return rest()

    async def rest():
        # What wakes the loop here is another thread, and nothing else.
        print(await asyncio.to_thread(str, "woken"))

    exeunt.run(main)
    """
    with Program(program) as running:
        assert running.end() == 0
        assert running.output.split("\n") == ["child 4", "woken", ""]


@pytest.mark.parametrize(
    ("leaves", "status", "said"),
    [("return", 0, "behind run\n"), ("sys.exit(5)", 5, ""), ("raise ValueError", 1, "ValueError")],
)
@pytest.mark.parametrize("main", ["def main", "async def main"])
def test_a_forked_child_leaves_main_as_it_says(
    main: str, leaves: str, status: int, said: str
) -> None:
    program = f"""
    import os, sys, warnings
    import exeunt

    # From Python 3.12 on, of forks beside threads.
    warnings.simplefilter("ignore")

    {main}():
        global child
        child = os.fork()
        if child == 0:
            {leaves}

    exeunt.run(main)
    if child == 0:
        print("behind run")
    else:
        print("status", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    with Program(program) as running:
        assert running.end() == 0
        assert f"status {status}\n" in running.output
        assert said in running.output
        assert "forked from" not in running.output
        assert "RuntimeError" not in running.output


def test_a_child_that_is_forked_behind_the_stop_can_be_ended() -> None:
    program = """
    import os, signal, time
    import exeunt

    exeunt.run(lambda app: app.stop.wait_blocking() if print("up") is None else None)
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    os.kill(child, signal.SIGTERM)
    print("child", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    with Program(program) as running:
        running.until("up")
        running.send(signal.SIGTERM)
        assert running.end() == 0
        assert "child -15" in running.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_loop_of_its_own_in_main_leaves_the_signals_to_the_program(number: int) -> None:
    program = """
    import asyncio, signal
    import exeunt

    async def inner():
        try:
            print("up")
            await asyncio.sleep(60)
        finally:
            print("unwound")

    exeunt.run(lambda: asyncio.run(inner()))
    print(exeunt.last_report().cause)
    """
    with Program(program) as running:
        running.until("up")
        running.send(number)
        assert running.end() == 0, running.output
        assert "unwound" in running.output
        assert signal.Signals(number).name in running.output
        assert "Traceback" not in running.output


def test_python_has_its_handler_of_sigint_back_behind_a_program() -> None:
    program = """
    import signal
    import exeunt

    exeunt.run(lambda: None)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    """
    with Program(program) as running:
        assert running.end() == 0, running.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_sync_main_is_not_interrupted_in_a_block(number: int) -> None:
    program = """
    import time
    import exeunt

    def main():
        with exeunt.shield():
            print("up")
            deadline = time.monotonic() + 60
            while not exeunt.current_app().stop.is_set() and time.monotonic() < deadline:
                time.sleep(0.01)
            # Several looks of who interrupts what does not end.
            time.sleep(0.3)
            print("finished")
        print("on")

    exeunt.run(main)
    """
    with Program(program) as running:
        running.until("up")
        running.send(number)
        assert running.end() == 0, running.output
        assert running.output.split() == ["up", "finished"]


def test_a_loop_that_is_blocked_to_the_hard_deadline_is_a_cut() -> None:
    program = """
    import time
    import exeunt

    async def main():
        print("up")
        time.sleep(60)

    exeunt.run(main, grace=0.5)
    """
    with Program(program) as running:
        running.until("up")
        running.send(signal.SIGTERM)
        # Nothing of the program's has failed; what waits for threads, our own, could not close.
        assert running.end() == 3, running.output


def test_a_block_of_a_sync_main_is_left_at_the_end_of_its_time() -> None:
    program = """
    import time
    import exeunt

    def main():
        with exeunt.shield(1.5):
            print("up")
            try:
                time.sleep(60)
            except BaseException:
                print("rolled back")
                raise

    exeunt.run(main, grace=0.5)
    """
    with Program(program) as running:
        running.until("up")
        running.send(signal.SIGTERM)
        # By the block, or by the deadline that it has moved there.
        assert running.end() in (0, 3), running.output
        assert "rolled back" in running.output


@pytest.mark.parametrize(
    "what", ["await app.component('c', None, lambda: 1 / 0)", "app.spawn(fail())"]
)
def test_leaving_main_well_does_not_hide_a_failure(what: str) -> None:
    program = f"""
    import asyncio, sys
    import exeunt

    async def fail():
        raise ValueError

    async def main(app):
        {what}
        await asyncio.sleep(0)
        sys.exit(0)

    exeunt.run(main)
    """
    with Program(program) as running:
        assert running.end() == 1, running.output


@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_what_is_left_is_named_though_a_stream_is_closed(closed: str) -> None:
    program = f"""
import logging, sys, threading, time
import exeunt

sys.{closed} = None
other = sys.stdout or sys.stderr
logging.basicConfig(stream=other)
threading.excepthook = lambda args: other.write(f"hook {{args.exc_value}}")

def main():
    threading.Thread(target=time.sleep, args=(60,), name="stubborn").start()

exeunt.run(main, grace=0.5)
"""
    ended = subprocess.run(
        [sys.executable, "-c", program],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ended.returncode == 3, ended.stdout
    assert "thread stubborn" in ended.stdout
    assert "hook" not in ended.stdout
