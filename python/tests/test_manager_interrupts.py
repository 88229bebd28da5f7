"""Ctrl-C in the middle of a handler: the request is answered, and then it leaves the poll."""

import http.client
from contextlib import closing

from running import PATIENCE, program

HEAD = """
import os, signal, threading, time
from exeunt.mongoose import Manager, MG_EV_HTTP_MSG, MG_EV_POLL

def interrupt():
    os.kill(os.getpid(), signal.SIGINT)

def serve(handler):
    manager = Manager(handler)
    print(manager.listen("http://127.0.0.1:0").local_addr[1])
    return manager
"""


def test_a_handler_that_is_interrupted_answers_first() -> None:
    text = f"""{HEAD}
def handler(conn, ev, data):
    if ev == MG_EV_HTTP_MSG:
        interrupt()
        for _ in range(1000):
            pass
        conn.reply(200, b"whole")
manager = serve(handler)
try:
    while True:
        manager.poll(-1)
except KeyboardInterrupt:
    print("interrupted", signal.getsignal(signal.SIGINT) is signal.default_int_handler)
finally:
    manager.close()
"""
    with program(text) as run:
        port = int(run.wait_for("\n"))
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as client:
            client.request("GET", "/")
            assert client.getresponse().read() == b"whole"
        status, out = run.end()
    assert status == 0, out
    assert out.endswith("interrupted True\n")


def test_a_handler_that_takes_long_is_interrupted_in_it() -> None:
    text = f"""{HEAD}
def handler(conn, ev, data):
    if ev == MG_EV_POLL:
        interrupt()
        time.sleep(60)
manager = serve(handler)
try:
    manager.poll(0)
except KeyboardInterrupt:
    print("interrupted")
time.sleep(0.3)
print("once")
"""
    with program(text) as run:
        status, out = run.end()
    assert status == 0, out
    assert out.endswith("interrupted\nonce\n")


def test_the_second_interrupts_at_once() -> None:
    text = f"""{HEAD}
def handler(conn, ev, data):
    if ev == MG_EV_POLL:
        interrupt()
        began.append(time.monotonic())
        interrupt()
        began.append("not reached")
began = []
manager = serve(handler)
try:
    manager.poll(0)
except KeyboardInterrupt:
    print("interrupted", len(began))
time.sleep(0.3)
print("once")
"""
    with program(text) as run:
        status, out = run.end()
    assert status == 0, out
    assert out.endswith("interrupted 1\nonce\n")


def test_each_interrupt_is_raised_once_wherever_it_comes() -> None:
    text = f"""{HEAD}
def handler(conn, ev, data):
    for _ in range(200):
        pass
manager = serve(handler)
raised = 0
rounds = 300
for number in range(rounds):
    try:
        threading.Timer(number % 7 / 10_000, interrupt).start()
        while True:
            manager.poll(0 if number % 2 else 1)
    except KeyboardInterrupt:
        raised += 1
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
time.sleep(0.3)
print("raised", raised == rounds)
"""
    with program(text) as run:
        status, out = run.end()
    assert status == 0, out
    assert out.endswith("raised True\n")


def test_a_handler_of_the_programs_own_is_left_alone() -> None:
    text = f"""{HEAD}
told = []
def own(number, frame):
    told.append(number)
signal.signal(signal.SIGINT, own)
def handler(conn, ev, data):
    if ev == MG_EV_POLL:
        interrupt()
        assert told == [signal.SIGINT] and signal.getsignal(signal.SIGINT) is own
        print("told")
manager = serve(handler)
manager.poll(0)
signal.signal(signal.SIGINT, signal.default_int_handler)
def changing(conn, ev, data):
    signal.signal(signal.SIGINT, own)
manager = serve(changing)
manager.poll(0)
print(signal.getsignal(signal.SIGINT) is own)
"""
    with program(text) as run:
        status, out = run.end()
    assert status == 0, out
    assert "told\n" in out
    assert out.endswith("True\n")


def test_signals_that_all_raise_leave_sigint_as_it_was() -> None:
    text = f"""{HEAD}
import sys

class Raised(Exception):
    pass

def handler(number, frame):
    raise Raised(number)

def kill():
    # At once for the main thread, which wants the interpreter back behind its wait.
    for number in numbers:
        os.kill(os.getpid(), number)

numbers = [signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGHUP]
for number in numbers:
    signal.signal(number, handler)
seen = []
sys.unraisablehook = lambda unraisable: seen.append(unraisable.exc_value)
sys.setswitchinterval(60)
manager = Manager()
threading.Timer(0.1, kill).start()
while len(seen) < 4:
    try:
        manager.poll(100)
    except Raised as raised:
        seen.append(raised)
print(sorted(raised.args[0] for raised in seen) == sorted(numbers))
print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
manager.close()
"""
    with program(text) as run:
        assert run.end() == (0, "True\nTrue\n")


def test_a_program_that_puts_back_what_it_found_has_python_s_own_again() -> None:
    text = f"""{HEAD}
def swap():
    found = signal.signal(signal.SIGINT, signal.SIG_IGN)
    put_back.append(found)

put_back = []
manager = Manager()
manager.timer_add(0, swap)
manager.poll(0)
print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)
signal.signal(signal.SIGINT, put_back[0])
manager.poll(0)
print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
manager.close()
"""
    with program(text) as run:
        assert run.end() == (0, "True\nTrue\n")


def test_no_other_thread_takes_an_interrupt_from_the_main_one() -> None:
    text = f"""{HEAD}
def turn():
    other.timer_add(0.1, lambda: fired.append(1), repeat=True)
    while not over:
        other.poll(0)

def interrupted():
    interrupt()
    # The other thread goes through whole handlers of its own meanwhile.
    enough = len(fired) + 3
    while len(fired) < enough:
        time.sleep(0.001)

fired, over = [], []
other, manager = Manager(), Manager()
thread = threading.Thread(target=turn)
thread.start()
while not fired:
    time.sleep(0.001)
manager.timer_add(0, interrupted)
try:
    manager.poll(0)
    time.sleep(0.3)
except KeyboardInterrupt:
    print("interrupted")
over.append(True)
thread.join()
"""
    with program(text) as run:
        assert run.end() == (0, "interrupted\n")


def test_no_other_thread_is_woken_by_a_signal_of_the_main_one() -> None:
    text = f"""{HEAD}
def handler(conn, ev, data):
    if ev == MG_EV_WAKEUP:
        told.append(data)

def turn():
    polling.set()
    manager.poll(-1)
    print(told)

from exeunt.mongoose import MG_EV_WAKEUP
told, polling = [], threading.Event()
signal.signal(signal.SIGUSR1, lambda *_: None)
manager = Manager(handler, enable_wakeup=True)
listener = manager.listen("tcp://127.0.0.1:0")
manager.poll(0)
thread = threading.Thread(target=turn)
thread.start()
polling.wait()
time.sleep(0.2)
os.kill(os.getpid(), signal.SIGUSR1)
time.sleep(0.1)
manager.wakeup(listener.id, b"woken")
thread.join()
"""
    with program(text) as run:
        assert run.end() == (0, "[b'woken']\n")
