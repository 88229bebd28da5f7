"""Blocks in threads: who is interrupted, and who leaves after whom."""

import signal

import pytest
from shielded import shielded

INT, TERM = signal.SIGINT, signal.SIGTERM

THREAD = """
import sys, threading, time
from exeunt.graceful_shutdown import ShutdownProtection, configure_shutdown_manager
{configure}
go = threading.Event()
def work():
    try:
        with ShutdownProtection({budget}) as block:
            print("inside")
            while True:
                go.wait()
                block.allow_break()
                time.sleep(0.001)
    except BaseException as error:
        time.sleep(0.1)
        print("thread", type(error).__mro__[1].__name__)
        raise
thread = threading.Thread(target=work, daemon={daemon})
thread.start()
go_on = threading.Event()
def release():
    go_on.wait()
    sys.stdin.readline()
    print("released")
    go.set()
threading.Thread(target=release, daemon=True).start()
try:
    go_on.set()
    {wait}
except BaseException as error:
    print("main", repr(error))
    raise SystemExit(5)
"""


@pytest.mark.parametrize("daemon", [True, False])
@pytest.mark.parametrize("wait", ["thread.join()", "time.sleep(60)"])
@pytest.mark.parametrize(
    ("sent", "kind", "left"),
    [(INT, "KeyboardInterrupt", "KeyboardInterrupt()"), (TERM, "SystemExit", "SystemExit(1)")],
)
def test_p44_a_threads_block_ends_first_and_the_main_thread_after_it(
    daemon: bool, wait: str, sent: signal.Signals, kind: str, left: str
) -> None:
    text = THREAD.format(
        configure="configure_shutdown_manager()", budget="", daemon=daemon, wait=wait
    )
    with shielded(text) as running:
        running.wait_for("inside\n")
        running.kill(sent)
        running.say("\n")
        status, out = running.end()
    assert status == 5
    assert out.startswith("inside\nreleased\n")
    assert sorted(out.splitlines()[2:]) == [f"main {left}", f"thread {kind}"]


@pytest.mark.parametrize("wait", ["thread.join()", "time.sleep(60)"])
def test_p41_the_first_block_may_be_in_another_thread(wait: str) -> None:
    with shielded(THREAD.format(configure="", budget="", daemon=True, wait=wait)) as running:
        running.wait_for("inside\n")
        running.kill(TERM)
        running.say("\n")
        status, out = running.end()
    assert status == 5
    assert "thread SystemExit\n" in out
    assert "main SystemExit(1)\n" in out


@pytest.mark.parametrize(("sent", "kind"), [(INT, "KeyboardInterrupt"), (TERM, "SystemExit")])
def test_p42_a_threads_budget_runs_out_in_that_thread(sent: signal.Signals, kind: str) -> None:
    text = """
    import threading, time
    from exeunt import ShutdownProtection, configure_shutdown_manager
    configure_shutdown_manager()
    def work():
        with ShutdownProtection(0.2):
            try:
                print("inside")
                while True:
                    time.sleep(0.001)
            finally:
                print("rolled back")
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    """
    with shielded(text) as running:
        running.wait_for("inside\n")
        running.kill(sent)
        status, out = running.end()
    assert out.startswith("inside\nrolled back\n")
    assert status == (1 if sent == TERM else -INT)
    assert ("Traceback" in out) == (sent == INT), kind
    assert out.count("Traceback") <= 1


def test_p43_the_third_signal_ends_the_blocks_of_all_threads() -> None:
    text = """
    import threading, time
    from exeunt import ShutdownProtection, configure_shutdown_manager
    def work():
        with ShutdownProtection():
            try:
                print("inside")
                while True:
                    time.sleep(0.001)
            finally:
                print("rolled back")
    threads = [threading.Thread(target=work) for _ in range(2)]
    def hup():
        print("hup")
    configure_shutdown_manager(before_hup=hup)
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    """
    with shielded(text) as running:
        running.wait_for("inside\ninside\n")
        for number in range(3):
            running.wait_for("hup\n" * number)
            running.kill(signal.SIGHUP)
        status, out = running.end()
    assert (status, out.count("rolled back\n"), out.count("hup\n")) == (1, 2, 3)


def test_p46_a_daemons_block_is_waited_for_after_a_stop() -> None:
    text = """
    import sys, threading, time
    from exeunt import ShutdownProtection
    def work():
        with ShutdownProtection():
            print("inside")
            sys.stdin.readline()
            time.sleep(0.2)
            print("whole")
    with ShutdownProtection() as block:
        threading.Thread(target=work, daemon=True).start()
        time.sleep(0.2)
        print("main")
        time.sleep(0.5)
        block.allow_break()
        time.sleep(60)
    """
    with shielded(text) as running:
        running.wait_for("inside\n")
        running.wait_for("main\n")
        running.kill(TERM)
        running.say("\n")
        status, out = running.end()
    assert (status, out) == (1, "inside\nmain\nwhole\n")


def test_p44_an_object_is_one_threads_at_a_time() -> None:
    text = """
    import threading
    from exeunt import ShutdownProtection
    block = ShutdownProtection()
    def other():
        try:
            block.__enter__()
        except RuntimeError as error:
            print(error)
    with block, block:
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    with block:
        print("again")
    """
    with shielded(text) as running:
        status, out = running.end()
    assert status == 0
    assert out.endswith("make one for each thread\nagain\n")


def test_p44_the_main_thread_leaves_after_a_block_that_has_come_to_its_end() -> None:
    text = """
    import sys, threading, time
    from exeunt import ShutdownProtection, configure_shutdown_manager
    configure_shutdown_manager()
    def work():
        with ShutdownProtection():
            print("inside")
            sys.stdin.readline()
    threading.Thread(target=work, daemon=True).start()
    time.sleep(60)
    """
    with shielded(text) as running:
        running.wait_for("inside\n")
        running.kill(TERM)
        running.say("\n")
        assert running.end() == (1, "inside\n")
