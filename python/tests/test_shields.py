"""Blocks that a stop does not interrupt, in the main thread."""

import signal

import pytest
from shielded import shielded

from exeunt import ShutdownProtection, configure_shutdown_manager, shield

INT, TERM, QUIT, HUP = signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP

# Says when it is inside, and what it is left by.
BLOCK = """
import sys, time
from exeunt.graceful_shutdown import ShutdownProtection, configure_shutdown_manager
def after():
    print("hook")
configure_shutdown_manager(before_termination=after)
try:
    with ShutdownProtection() as block:
        print("inside")
        sys.stdin.readline()
        print("done")
        {then}
    print("outside")
    time.sleep(60)
except (KeyboardInterrupt, SystemExit) as error:
    print(repr(error))
    sys.exit(5)
"""


@pytest.mark.parametrize(
    ("sent", "left"),
    [
        (INT, "KeyboardInterrupt()"),
        (TERM, "SystemExit(1)"),
        (QUIT, "SystemExit(1)"),
        (HUP, "SystemExit(1)"),
    ],
)
@pytest.mark.parametrize("then", ["pass", "block.allow_break()"])
def test_p40_a_signal_waits_for_the_end_or_a_safe_point(
    sent: signal.Signals, left: str, then: str
) -> None:
    with shielded(BLOCK.format(then=then)) as running:
        running.wait_for("inside\n")
        running.kill(sent)
        running.say("\n")
        status, out = running.end()
    assert (status, out) == (5, f"inside\ndone\nhook\n{left}\n")


def test_p40_the_main_thread_is_interrupted_at_once_outside_a_block() -> None:
    for wait in ("time.sleep(60)", "threading.Lock().__enter__()", "sys.stdin.read()"):
        text = f"""
        import sys, threading, time
        from exeunt import configure_shutdown_manager
        configure_shutdown_manager()
        lock = threading.Lock()
        lock.acquire()
        print("ready")
        {wait.replace("threading.Lock()", "lock")}
        """
        with shielded(text) as running:
            running.wait_for("ready\n")
            running.kill(TERM)
            status, out = running.end()
        assert (status, out) == (1, "ready\n")


def test_p43_the_third_signal_raises_inside_the_block_and_the_rollback_runs() -> None:
    text = """
    import time
    from exeunt import ShutdownProtection
    with ShutdownProtection():
        print("inside")
        try:
            for _ in range(2):
                input()
                print("still")
            time.sleep(60)
        except SystemExit as error:
            print("rollback", error.code)
            raise
    """
    with shielded(text) as running:
        running.wait_for("inside\n")
        for number in range(2):
            running.kill(INT)
            running.say("\n")
            # The kernel merges signals that are still pending.
            running.wait_for("still\n" * (number + 1))
        running.kill(INT)
        status, out = running.end()
    assert (status, out) == (1, "inside\nstill\nstill\nrollback 1\n")


def test_p42_the_budget_runs_out_from_the_signal_or_the_last_renewal() -> None:
    text = """
    import time
    from exeunt import ShutdownProtection
    with ShutdownProtection(0.3) as block:
        for _ in range(5):
            time.sleep(0.15)
            block.renew()
        print("inside")
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            print("rollback")
            raise SystemExit(4)
    """
    with shielded(text) as running:
        running.wait_for("inside\n")
        running.kill(INT)
        status, out = running.end()
    assert (status, out) == (4, "inside\nrollback\n")


def test_native_blocks_end_well() -> None:
    text = """
    from exeunt import shield
    with shield(5) as block:
        print("inside")
        input()
        block.allow_break()
    """
    with shielded(text) as running:
        running.wait_for("inside\n")
        running.kill(INT)
        running.say("\n")
        assert running.end() == (0, "inside\n")


def test_what_cannot_be_is_refused() -> None:
    for seconds in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="max_exec_time is"):
            ShutdownProtection(seconds)
        with pytest.raises(ValueError, match="max_exec_time is"):
            shield(seconds)
    with pytest.raises(ValueError, match="max_attempts is 0"):
        configure_shutdown_manager(max_attempts=0)
    with pytest.raises(TypeError, match="before_hup is 'x'"):
        configure_shutdown_manager(before_hup="x")  # type: ignore[arg-type]
    block = ShutdownProtection()
    for call in (block.allow_break, block.renew):
        with pytest.raises(RuntimeError, match="not entered"):
            call()
