"""The lifecycle and signals, in processes of their own."""

import signal

import pytest
from running import program

HEAD = """
import os, signal, sys, threading, time
from exeunt import Lifecycle, Phase
"""


@pytest.mark.parametrize("what", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_requests_the_stop(what: signal.Signals) -> None:
    text = f"""{HEAD}
before = signal.getsignal({int(what)})
lifecycle = Lifecycle()
lifecycle.ready()
print("ready")
lifecycle.wait()
report = lifecycle.close()
assert report.signal == {int(what)} and report.attempts == 1
assert signal.getsignal({int(what)}) is before
print(report.cause)
"""
    with program(text) as run:
        run.wait_for("ready")
        run.kill(what)
        status, out = run.end()
    assert status == 0, out
    assert f"{what.name} from process" in out


def test_signals_are_as_before_when_it_is_closed() -> None:
    text = f"""{HEAD}
for end in ["close", "drop"]:
    lifecycle = Lifecycle()
    if end == "close":
        lifecycle.close()
    del lifecycle
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(30)
    except KeyboardInterrupt:
        print("interrupted")
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(30)
"""
    with program(text) as run:
        status, out = run.end()
    assert out == "interrupted\ninterrupted\n"
    assert status == -signal.SIGTERM


def test_python_handlers_run_while_it_waits() -> None:
    text = f"""{HEAD}
signal.signal(signal.SIGUSR1, lambda *_: print("told", flush=True))
lifecycle = Lifecycle()
print("ready")
lifecycle.wait()
print("stopped")
lifecycle.close()
"""
    with program(text) as run:
        run.wait_for("ready")
        for count in range(1, 6):
            run.kill(signal.SIGUSR1)
            run.wait_for("told\n" * count)
        run.kill(signal.SIGTERM)
        status, out = run.end()
    assert status == 0, out
    assert out.endswith("stopped\n")


def test_what_a_handler_raises_ends_the_wait_and_not_the_lifecycle() -> None:
    text = f"""{HEAD}
def out_of_time(*_):
    raise TimeoutError
signal.signal(signal.SIGALRM, out_of_time)
lifecycle = Lifecycle()
work = lifecycle.work("slow")
for wait in [lifecycle.wait, lifecycle.close]:
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        wait()
    except TimeoutError:
        print("out of time")
work.done()
print(lifecycle.close().exit_status)
"""
    with program(text) as run:
        status, out = run.end()
    assert (status, out) == (0, "out of time\nout of time\n0\n")


def test_the_third_signal_forces_the_end() -> None:
    text = f"""{HEAD}
lifecycle = Lifecycle()
work = lifecycle.work("slow")
for attempt in range(3):
    print("attempt", attempt)
    os.kill(os.getpid(), signal.SIGTERM)
    lifecycle.wait()
    time.sleep(0.01)  # the kernel merges what is pending
report = lifecycle.close()
print(report.exit_status, report.verdict)
"""
    with program(text) as run:
        status, out = run.end()
    assert status == 0, out
    assert out.endswith("143 forced\n")


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    text = f"""{HEAD}
signal.signal(signal.SIGHUP, signal.SIG_IGN)
lifecycle = Lifecycle()
print(lifecycle.ignored_signals == (signal.SIGHUP,))
os.kill(os.getpid(), signal.SIGHUP)
print(lifecycle.wait(0.05))
"""
    with program(text) as run:
        assert run.end() == (0, "True\nFalse\n")


def test_two_lifecycles_see_the_same_signal() -> None:
    text = f"""{HEAD}
one, two = Lifecycle(), Lifecycle(signals=[signal.SIGTERM])
os.kill(os.getpid(), signal.SIGTERM)
assert one.wait(30) and two.wait(30)
print(one.close().signal, two.close().signal)
"""
    with program(text) as run:
        assert run.end() == (0, "15 15\n")


def test_exit_by_force() -> None:
    text = f"""{HEAD}
lifecycle = Lifecycle(force="exit", grace=0.2)
work = lifecycle.work("stuck")
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(60)
"""
    with program(text) as run:
        status, out = run.end()
    assert (status, out) == (3, "")


def test_in_a_forked_child_calls_raise() -> None:
    text = f"""{HEAD}
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
lifecycle = Lifecycle()
work = lifecycle.work("one")
child = os.fork()
if child == 0:
    calls = [Lifecycle, lifecycle.ready, lifecycle.wait, lifecycle.close, lifecycle.fileno]
    calls += [lifecycle.watch, lambda: lifecycle.request_stop("x"), lambda: lifecycle.work("x")]
    calls += [lambda: lifecycle.cause]
    for call in calls:
        try:
            call()
            os._exit(1)
        except RuntimeError as error:
            assert "forked" in str(error), error
    work.done()
    del lifecycle
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
work.done()
print(lifecycle.close().exit_status)
"""
    with program(text) as run:
        status, out = run.end()
    assert (status, out) == (0, "7\n0\n")


def test_the_end_of_the_interpreter_with_a_live_lifecycle() -> None:
    text = f"""{HEAD}
lifecycle = Lifecycle()
work = lifecycle.work("one")
def wait():
    lifecycle.wait()
threading.Thread(target=wait, daemon=True).start()
time.sleep(0.01)
print("over")
"""
    with program(text) as run:
        status, out = run.end()
    assert (status, out) == (0, "over\n")
