"""Hooks, options, and who else has a say about signals."""

import os
import signal
from pathlib import Path

import pytest
from shielded import shielded

INT, TERM, HUP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP


def test_p48_none_keeps_a_hook_and_another_false_value_removes_it() -> None:
    text = """
    from exeunt import ShutdownProtection, configure_shutdown_manager as configure
    def one():
        print("one")
    def two():
        print("two")
    configure(before_termination=one, before_hup=one)
    configure(before_termination=None, max_attempts=2)
    configure(before_hup=two)
    configure({last})
    with ShutdownProtection() as block:
        print("inside")
        input()
        block.allow_break()
    """
    for last, out in (
        ("", "two\none\n"),
        ("before_hup=False", "one\n"),
        ("None, None, 1", "two\none\n"),
    ):
        with shielded(text.format(last=last)) as running:
            running.wait_for("inside\n")
            running.kill(HUP)
            running.say("\n")
            assert running.end() == (1, "inside\n" + out)


def test_p48_a_hook_that_fails_is_logged_at_the_end_and_stops_nothing() -> None:
    for failure in ("1 / 0", "raise SystemExit(7)", "raise KeyboardInterrupt"):
        text = f"""
        import time
        from exeunt import configure_shutdown_manager
        def hook():
            print("hook")
            {failure}
        configure_shutdown_manager(before_termination=hook)
        print("ready")
        time.sleep(60)
        """
        with shielded(text) as running:
            running.wait_for("ready\n")
            running.kill(TERM)
            status, out = running.end()
        assert status == 1
        assert out.startswith("ready\nhook\nbefore_termination failed\nTraceback")


def test_p48_sighup_may_be_for_the_hook_alone() -> None:
    text = """
    from exeunt import ShutdownProtection, configure_shutdown_manager
    def hook():
        print("hup")
    configure_shutdown_manager(terminate_on_hup=False, before_hup=hook, max_attempts=1)
    with ShutdownProtection() as block:
        print("inside")
        input()
        block.allow_break()
        configure_shutdown_manager(terminate_on_hup=True, before_hup=0)
        print("still there")
        input()
        print("never")
    """
    with shielded(text) as running:
        running.wait_for("inside\n")
        running.kill(HUP)
        running.wait_for("hup\n")
        running.say("\n")
        running.wait_for("still there\n")
        running.kill(HUP)
        assert running.end() == (1, "inside\nhup\nstill there\n")


def test_p49_a_signal_that_was_ignored_stays_so() -> None:
    text = """
    import os, signal
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    from exeunt import ShutdownProtection
    with ShutdownProtection() as block:
        os.kill(os.getpid(), signal.SIGHUP)
        block.allow_break()
        print(signal.getsignal(signal.SIGHUP) is signal.SIG_IGN)
    """
    with shielded(text) as running:
        assert running.end() == (0, "True\n")


def test_p49_in_a_forked_child_blocks_do_nothing_and_signals_act_by_default() -> None:
    text = """
    import os, signal, time, warnings
    from exeunt import ShutdownProtection
    # Python 3.12 warns of every fork of a process with threads.
    warnings.simplefilter("ignore")
    with ShutdownProtection() as outer:
        child = os.fork()
        if child == 0:
            outer.allow_break()
            with ShutdownProtection() as inner:
                inner.allow_break()
                inner.renew()
                print("child")
                time.sleep(60)
            os._exit(9)
        print("parent", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        print(signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL)
    """
    with shielded(text) as running:
        out = running.wait_for("child\n")
        assert out == "child\n"
        children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text()
        child = int(children.split()[0])
        os.kill(child, TERM)
        assert running.end() == (0, f"child\nparent {-TERM}\nTrue\n")


def test_p49_who_puts_a_handler_over_ours_and_takes_it_back_loses_no_signal() -> None:
    text = """
    import os, signal
    from exeunt import ShutdownProtection
    with ShutdownProtection() as block:
        ours = signal.signal(signal.SIGTERM, lambda *_: print("theirs"))
        os.kill(os.getpid(), signal.SIGTERM)
        block.allow_break()
        signal.signal(signal.SIGTERM, ours)
        os.kill(os.getpid(), signal.SIGTERM)
        block.allow_break()
        print("never")
    """
    with shielded(text) as running:
        assert running.end() == (1, "theirs\n")


@pytest.mark.parametrize("run_at_exit", [True, False])
def test_p46_what_begins_after_the_signal(run_at_exit: bool) -> None:
    text = f"""
    import sys
    from exeunt import ShutdownProtection
    with ShutdownProtection():
        print("inside")
        sys.stdin.readline()
        with ShutdownProtection() as inner:
            inner.allow_break()
            print("nested")
        with ShutdownProtection(run_at_exit={run_at_exit}) as late:
            late.allow_break()
            print("late")
    """
    with shielded(text) as running:
        running.wait_for("inside\n")
        running.kill(TERM)
        running.say("\n")
        assert running.end() == (1, "inside\nnested\nlate\n")


def test_p46_a_rollback_may_have_blocks_of_its_own() -> None:
    text = """
    from exeunt import ShutdownProtection
    try:
        with ShutdownProtection() as block:
            print("inside")
            input()
            block.allow_break()
    except SystemExit:
        with ShutdownProtection() as block:
            block.allow_break()
            print("rollback")
        raise
    """
    with shielded(text) as running:
        running.wait_for("inside\n")
        running.kill(TERM)
        running.say("\n")
        assert running.end() == (1, "inside\nrollback\n")


def test_p46_only_exit_work_begins_outside_a_block_after_the_signal() -> None:
    text = """
    import threading
    from exeunt import ShutdownProtection
    done = threading.Semaphore(0)
    def late(run_at_exit):
        try:
            with ShutdownProtection(run_at_exit=run_at_exit) as block:
                block.allow_break()
                print("late", run_at_exit)
        finally:
            done.release()
    with ShutdownProtection():
        print("inside")
        input()
        for run_at_exit in (True, False):
            threading.Thread(target=late, args=(run_at_exit,)).start()
            done.acquire()
    """
    with shielded(text) as running:
        running.wait_for("inside\n")
        running.kill(TERM)
        running.say("\n")
        assert running.end() == (1, "inside\nlate True\n")


def test_p40_an_error_of_the_block_is_the_context_of_the_exception() -> None:
    text = """
    from exeunt import ShutdownProtection
    try:
        with ShutdownProtection():
            print("inside")
            input()
            raise ValueError("its own")
    except SystemExit as error:
        print(repr(error.__context__))
    """
    with shielded(text) as running:
        running.wait_for("inside\n")
        running.kill(TERM)
        running.say("\n")
        assert running.end() == (0, "inside\nValueError('its own')\n")


def test_p40_a_block_of_shield_that_fails_does_not_end_well() -> None:
    text = """
    import exeunt
    try:
        with exeunt.shield():
            print("inside")
            input()
            raise ValueError("its own")
    except SystemExit as error:
        print(error.code)
    """
    with shielded(text) as running:
        running.wait_for("inside\n")
        running.kill(TERM)
        running.say("\n")
        assert running.end() == (0, "inside\n1\n")
