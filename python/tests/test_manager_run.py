"""`Manager.run`, in processes of their own: signals, drains, ways out."""

import http.client
import signal
from contextlib import closing

import pytest
from running import PATIENCE, Program, program

HEAD = """
import functools, os, signal, sys, threading, time
from exeunt.mongoose import Manager, MG_EV_HTTP_MSG, MG_EV_CLOSE, MG_EV_WAKEUP, MG_EV_POLL

def serve(handler):
    manager = Manager(handler, enable_wakeup=True)
    print("port", manager.listen("http://127.0.0.1:0").local_addr[1])
    return manager

def hello(conn, ev, data):
    if ev == MG_EV_HTTP_MSG:
        conn.reply(200, b"hello")
"""


def port_of(run: Program) -> int:
    run.wait_for("\n")
    return int(run.wait_for("port ").partition("port ")[2].split()[0])


def connect(run: Program) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", port_of(run), timeout=PATIENCE)


@pytest.mark.parametrize("what", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_the_signal_and_leaves_all_as_it_was(what: signal.Signals) -> None:
    text = f"""{HEAD}
manager = serve(hello)
before = [signal.getsignal(it) for it in (signal.SIGINT, signal.SIGTERM)]
assert manager.report is None and manager.drain_report is None
assert manager.run() is None
assert [signal.getsignal(it) for it in (signal.SIGINT, signal.SIGTERM)] == before
assert manager._freed
assert manager.report.signal == {int(what)}, str(manager.report)
assert manager.report.is_clean and manager.drain_report.is_clean
assert len(manager.drain_report.listeners) == 1
print("over")
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(30)
except KeyboardInterrupt:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(30)
"""
    with program(text) as run, closing(connect(run)) as client:
        client.request("GET", "/")
        assert client.getresponse().read() == b"hello"
        run.kill(what)
        run.wait_for("over\n")
        status, out = run.end()
    assert status == -signal.SIGTERM, out


def test_what_is_in_flight_is_answered() -> None:
    text = f"""{HEAD}
def handler(conn, ev, data):
    if ev == MG_EV_HTTP_MSG:
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Timer(0.05, manager.wakeup, [conn.id, b"late"]).start()
    elif ev == MG_EV_WAKEUP:
        conn.reply(200, data)
manager = serve(handler)
manager.run()
print(manager.report.in_flight, manager.report.finished, manager.report.cut)
"""
    with program(text) as run, closing(connect(run)) as client:
        client.request("GET", "/")
        answer = client.getresponse()
        assert (answer.read(), answer.getheader("Connection")) == (b"late", "close")
        status, out = run.end()
    assert status == 0, out
    assert out.endswith("1 1 ()\n")


def test_what_the_deadline_cuts_is_named_and_answered_with_503() -> None:
    text = f"""{HEAD}
def handler(conn, ev, data):
    if ev == MG_EV_HTTP_MSG:
        manager.request_stop("a test")
manager = serve(handler)
manager.run(grace=0.5)
cut, = manager.report.cut
print(cut.kind, cut.name, manager.report.cause, manager.report.exit_status)
"""
    with program(text) as run, closing(connect(run)) as client:
        client.request("GET", "/never")
        assert client.getresponse().status == 503
        status, out = run.end()
    assert status == 0, out
    assert out.endswith("request GET /never a test 3\n")


def test_in_a_lame_duck_new_clients_are_served() -> None:
    text = f"""{HEAD}
def handler(conn, ev, data):
    if ev == MG_EV_HTTP_MSG:
        conn.reply(200, b"hello")
        if data.uri == "/stop":
            assert manager.request_stop("a test") and not manager.request_stop("again")
        print(data.uri)
manager = serve(handler)
manager.run(lame_duck=0.5)
print(manager.report.phases["lame_duck"] >= 0.5)
"""
    with program(text) as run:
        for path in ["/stop", "/after"]:
            with closing(connect(run)) as client:
                client.request("GET", path)
                assert client.getresponse().read() == b"hello"
        status, out = run.end()
    assert status == 0, out
    assert out.endswith("/stop\n/after\nTrue\n")


def test_handlers_of_other_signals_run_meanwhile_and_what_they_raise_leaves() -> None:
    text = f"""{HEAD}
class Enough(Exception): pass
def enough(*_):
    raise Enough
signal.signal(signal.SIGUSR1, lambda *_: print("told"))
signal.signal(signal.SIGALRM, enough)
# No Python runs but the signals' own: what they raise in a handler is taken for its fault.
manager = serve(None)
manager.timer_add(0, functools.partial(os.write, 1, b"running\\n"))
try:
    manager.run(poll_ms=60_000)
except Enough:
    print("left", manager._freed, signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
"""
    with program(text) as run:
        run.wait_for("running\n")
        for count in range(1, 4):
            run.kill(signal.SIGUSR1)
            run.wait_for("told\n" * count)
        run.kill(signal.SIGALRM)
        status, out = run.end()
    assert status == 0, out
    assert out.endswith("left True True\n")


STUCK = {
    "python": "while True: pass",
    "sleep": "time.sleep(60)",
    "lock": "threading.Lock().acquire() and stuck.acquire()",
    "pipe": "os.read(os.pipe()[0], 1)",
}


@pytest.mark.parametrize("stuck", STUCK)
@pytest.mark.parametrize("what", [signal.SIGINT, signal.SIGTERM])
def test_the_third_signal_ends_a_handler_that_is_stuck(stuck: str, what: signal.Signals) -> None:
    text = f"""{HEAD}
stuck = threading.Lock()
stuck.acquire()
def handler(conn, ev, data):
    if ev == MG_EV_HTTP_MSG:
        print("stuck")
        {STUCK[stuck]}
manager = serve(handler)
try:
    manager.run()
except BaseException as error:
    print(repr(error), manager._freed, manager.report.verdict, manager.report.exit_status)
    raise
"""
    with program(text) as run, closing(connect(run)) as client:
        client.request("GET", "/")
        run.wait_for("stuck")
        # Each is taken before the next is sent: the kernel merges those that are pending.
        for _ in range(3):
            assert run.is_running
            run.kill(what)
            run.wait_until_taken(what)
        status, out = run.end()
    number = int(what)
    name = "KeyboardInterrupt()" if what == signal.SIGINT else "SystemExit(143)"
    assert f"{name} True forced {128 + number}" in out, out
    assert status == (-number if what == signal.SIGINT else 143)


def test_the_hard_deadline_ends_a_handler_that_is_stuck() -> None:
    text = f"""{HEAD}
def handler(conn, ev, data):
    if ev == MG_EV_HTTP_MSG:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
manager = serve(handler)
try:
    manager.run(grace=0.2)
except SystemExit as error:
    print(error.code, manager._freed, manager.report.unfinished)
"""
    with program(text) as run, closing(connect(run)) as client:
        client.request("GET", "/")
        status, out = run.end()
    assert status == 0, out
    assert out.endswith("143 True ('manager',)\n")


def test_a_handler_that_swallows_the_interrupt_is_interrupted_again() -> None:
    text = f"""{HEAD}
def handler(conn, ev, data):
    if ev == MG_EV_HTTP_MSG:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)
        except SystemExit:
            print("swallowed")
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)
manager = serve(handler)
manager.run(grace=0.2)
"""
    with program(text) as run, closing(connect(run)) as client:
        client.request("GET", "/")
        status, out = run.end()
    assert "swallowed" in out
    assert status == 143


def test_a_keyboard_interrupt_of_a_handler_leaves_at_once() -> None:
    text = f"""{HEAD}
def handler(conn, ev, data):
    if ev == MG_EV_HTTP_MSG:
        raise KeyboardInterrupt
manager = serve(handler)
try:
    manager.run()
except KeyboardInterrupt:
    print("left", manager._freed)
"""
    with program(text) as run, closing(connect(run)) as client:
        client.request("GET", "/")
        assert run.end()[1].endswith("left True\n")


def test_an_ignored_signal_stays_ignored() -> None:
    text = f"""{HEAD}
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGUSR1, lambda *_: print("there"))
manager = serve(hello)
manager.timer_add(0, functools.partial(os.write, 1, b"running\\n"))
manager.run()
print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN, manager.report.attempts)
"""
    with program(text) as run:
        run.wait_for("running\n")
        run.kill(signal.SIGINT)
        run.kill(signal.SIGUSR1)
        run.wait_for("there")
        run.kill(signal.SIGTERM)
        status, out = run.end()
    assert status == 0, out
    assert out.endswith("True 1\n")


def test_where_it_cannot_run_it_says_so_and_changes_nothing() -> None:
    text = f"""{HEAD}
manager = serve(hello)
def elsewhere():
    try:
        manager.run()
    except ValueError as error:
        print(error)
thread = threading.Thread(target=elsewhere)
thread.start()
thread.join()
for arguments in [dict(grace=-1), dict(lame_duck=60)]:
    try:
        manager.run(**arguments)
    except ValueError as error:
        print(error)
def again(conn, ev, data):
    if ev == MG_EV_POLL:
        try:
            manager.run()
        except RuntimeError as error:
            print(error)
        manager.request_stop("a test")
try:
    manager.request_stop("too early")
except RuntimeError as error:
    print(error)
manager = serve(again)
manager.run()
try:
    manager.run()
except RuntimeError as error:
    print(error)
print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
"""
    with program(text) as run:
        status, out = run.end()
    assert status == 0, out
    for part in ["main thread", "grace is -1", "lame duck of 60s", "at work here already", "freed"]:
        assert part in out, out
    assert "nothing to stop" in out
    assert out.endswith("True\n")


def test_a_timer_and_another_thread_may_request_the_stop() -> None:
    text = f"""{HEAD}
def ask():
    while True:
        try:
            return manager.request_stop("a thread")
        except RuntimeError:
            pass  # It does not run yet.
for begin in [lambda: manager.timer_add(10, lambda: manager.request_stop("a timer")),
              threading.Thread(target=ask).start]:
    manager = serve(hello)
    begin()
    manager.run()
    print(manager.report.cause)
"""
    with program(text) as run:
        status, out = run.end()
    assert status == 0, out
    assert "a timer\n" in out
    assert out.endswith("a thread\n")
