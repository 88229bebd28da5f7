"""`Manager.stop` and `close`, left or called again by signals' handlers in the middle of them."""

import http.client
import threading
from contextlib import closing

import pytest
from running import PATIENCE, program

from exeunt.mongoose import Manager

HEAD = """
import os, signal, sys, threading, time
from exeunt.mongoose import Manager, MG_EV_HTTP_MSG

def handler(conn, ev, data):
    if ev == MG_EV_HTTP_MSG:
        entered.set()
        assert let_go.wait(60)
        conn.reply(200, b"whole")

def signalled_in(function, number):
    main = threading.get_ident()
    def kill():
        while sys._current_frames()[main].f_code.co_name not in function:
            time.sleep(0.001)
        os.kill(os.getpid(), number)
    threading.Thread(target=kill).start()

entered, let_go = threading.Event(), threading.Event()
manager = Manager(handler)
print(manager.listen("http://127.0.0.1:0").local_addr[1])
manager.start()
entered.wait()
"""


def served(text: str) -> str:
    """What such a program writes, to which one request is sent that is answered in its stop."""
    with program(HEAD + text) as run:
        port = int(run.wait_for("\n"))
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as client:
            client.request("GET", "/")
            assert client.getresponse().read() == b"whole"
        status, out = run.end()
    assert status == 0, out
    return out.partition("\n")[2]


def test_a_stop_that_is_interrupted_can_be_called_again() -> None:
    out = served(
        """
signalled_in(("join", "_wait_for_tstate_lock"), signal.SIGINT)
try:
    manager.stop()
except KeyboardInterrupt:
    print("interrupted", manager._freed)
let_go.set()
print(manager.stop().is_clean, manager._freed)
"""
    )
    assert out == "interrupted False\nTrue True\n"


def test_a_signal_whose_handler_stops_it_may_come_twice() -> None:
    out = served(
        """
def stop(number, frame):
    global calls
    calls += 1
    if calls == 1:
        signalled_in(("join", "_wait_for_tstate_lock"), number)
    else:
        let_go.set()
    reports.append(manager.stop(60))

calls, reports = 0, []
signal.signal(signal.SIGTERM, stop)
os.kill(os.getpid(), signal.SIGTERM)
while len(reports) < 2:
    pass
print(manager._freed, reports[0] is reports[1], reports[0].is_clean)
"""
    )
    assert out == "True True True\n"


class Inopportune(Manager):
    """Closes once more where a signal's handler may: in the middle of the bookkeeping of close."""

    closings = 0

    @property
    def _closed_by(self) -> int | None:
        found: int | None = self.__dict__.get("by")
        return found

    @_closed_by.setter
    def _closed_by(self, thread: int | None) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        if self.closings < 2:
            self.closings += 1
            self.close()
        self.__dict__["by"] = thread


def test_close_may_come_in_the_middle_of_close() -> None:
    manager = Inopportune()
    closing = threading.Thread(target=manager.close, daemon=True)
    closing.start()
    closing.join(PATIENCE)
    assert not closing.is_alive()
    assert manager._freed


@pytest.mark.parametrize("kind", [RuntimeError, ValueError])
def test_whatever_a_signal_s_handler_raises_leaves_close(kind: type[Exception]) -> None:
    with program(
        f"""
        import signal
        from exeunt.mongoose import Manager
        def alarm(*_):
            raise {kind.__name__}("too late")
        def handler(conn, ev, data):
            if ev == 11:
                asked.append(conn)
        asked = []
        manager = Manager(handler)
        print(manager.listen("http://127.0.0.1:0").local_addr[1])
        while not asked:
            manager.poll(100)
        signal.signal(signal.SIGALRM, alarm)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        try:
            manager.close(60)
        except {kind.__name__} as error:
            print(error, manager._freed)
        """
    ) as run:
        port = int(run.wait_for("\n"))
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as client:
            client.request("GET", "/")
            status, out = run.end()
    assert status == 0, out
    assert out == f"{port}\ntoo late True\n"
