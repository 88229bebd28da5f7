"""`Manager.drain`, `start` and `stop`, `close` and `with`."""

import http.client
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

import pytest
from running import PATIENCE, program

from exeunt.mongoose import (
    MG_EV_ACCEPT,
    MG_EV_CLOSE,
    MG_EV_HTTP_MSG,
    MG_EV_WAKEUP,
    Connection,
    Manager,
)


def hello(conn: Connection, ev: int, data: object) -> None:
    if ev == MG_EV_HTTP_MSG:
        conn.reply(200, b"hello")


def listening(manager: Manager, scheme: str = "http") -> int:
    address = manager.listen(f"{scheme}://127.0.0.1:0").local_addr
    assert address is not None
    return address[1]


@dataclass
class Answer:
    status: int
    body: bytes
    connection: str | None


ASKING = ThreadPoolExecutor()


def ask(port: int) -> Future[Answer]:
    """Asks in a thread of its own: a client that does not read holds up a drain."""

    def asking() -> Answer:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as client:
            client.request("GET", "/slow")
            answer = client.getresponse()
            return Answer(answer.status, answer.read(), answer.getheader("Connection"))

    return ASKING.submit(asking)


def until(manager: Manager, condition: Any) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        manager.poll(10)


def is_free(port: int) -> bool:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return sock.connect_ex(("127.0.0.1", port)) != 0


class Slow:
    """Answers each request when it is told to, by another thread."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.closed = threading.Event()
        self.manager = Manager(self, enable_wakeup=True)
        self.port = listening(self.manager)
        self.asking = 0

    def __call__(self, conn: Connection, ev: int, data: Any) -> None:
        if ev == MG_EV_HTTP_MSG:
            self.asking = conn.id
            self.asked.set()
        elif ev == MG_EV_WAKEUP:
            conn.reply(200, data)
        elif ev == MG_EV_CLOSE and conn.id == self.asking:
            self.closed.set()

    def answer(self) -> None:
        self.manager.wakeup(self.asking, b"late")

    def ask(self) -> Future[Answer]:
        answer = ask(self.port)
        until(self.manager, self.asked.is_set)
        return answer


def test_a_drain_answers_what_is_in_flight() -> None:
    slow = Slow()
    answer = slow.ask()
    threading.Timer(0.02, slow.answer).start()
    report = slow.manager.drain()
    assert answer.result() == Answer(200, b"late", "close")
    assert (report.is_clean, report.cut, report.cut_count, report.panics) == (True, (), 0, ())
    assert report.duration > 0
    assert [it.limit_hit for it in report.listeners] == [False]
    assert str(report).startswith("drained in ")
    assert slow.manager.drain_report is report
    assert slow.manager.connections == ()
    assert is_free(slow.port)
    slow.manager.poll(0)
    slow.manager.close()


def test_a_drain_cuts_at_its_deadline() -> None:
    slow = Slow()
    answer = slow.ask()
    report = slow.manager.drain(0.1)
    assert answer.result().status == 503
    assert (report.cut_count, report.is_clean) == (1, False)
    assert (report.cut[0].kind, report.cut[0].name) == ("request", "GET /slow")
    assert report.cut[0].peer is not None
    assert "GET /slow" in str(report)
    slow.manager.close()


@pytest.mark.parametrize("end", ["close", "with"])
def test_close_answers_what_is_in_flight(end: str) -> None:
    slow = Slow()
    answer = slow.ask()
    threading.Timer(0.02, slow.answer).start()
    if end == "close":
        slow.manager.close()
    else:
        with slow.manager as same:
            assert same is slow.manager
    assert answer.result().body == b"late"
    assert slow.manager._freed
    assert slow.closed.is_set()
    slow.manager.close()


def test_close_is_bounded_and_may_be_at_once() -> None:
    for grace in [0.05, 0]:
        slow = Slow()
        answer = slow.ask()
        slow.manager.close(grace)
        if grace:
            assert answer.result().status == 503
        else:
            assert isinstance(answer.exception(), ConnectionResetError | http.client.HTTPException)
        assert slow.closed.is_set()
        report = slow.manager.drain_report
        assert (report.cut_count if report else None) == (1 if grace else None)


def test_a_client_in_the_queue_is_answered_by_close() -> None:
    manager = Manager(hello)
    with socket.create_connection(("127.0.0.1", listening(manager)), PATIENCE) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = ASKING.submit(sock.makefile("rb").read)
        manager.close()
        assert answer.result().endswith(b"hello")


def test_close_in_a_handler_or_beside_a_poll_is_refused() -> None:
    errors: list[str] = []

    def handler(conn: Connection, ev: int, data: object) -> None:
        if ev == MG_EV_ACCEPT:
            calls: list[Callable[[], object]] = [manager.close, manager.drain, manager.stop]
            for call in calls:
                try:
                    call()
                except RuntimeError as error:
                    errors.append(str(error))

    manager = Manager(handler)
    with socket.create_connection(("127.0.0.1", listening(manager, "tcp"))):
        until(manager, lambda: errors)
    assert "is being polled" in errors[0]
    assert "not reentrant" in errors[1]
    assert "was not started" in errors[2]
    manager.close()


def test_several_threads_may_close_it_while_it_drains() -> None:
    slow = Slow()
    answer = slow.ask()
    closers = [ASKING.submit(slow.manager.close, 20) for _ in range(4)]
    slow.answer()
    assert [closer.result() for closer in closers] == [None] * 4
    assert slow.manager._freed
    assert answer.result().body == b"late"


def test_close_in_a_handler_of_its_own_drain_is_refused() -> None:
    errors: list[str] = []

    def handler(conn: Connection, ev: int, data: object) -> None:
        if ev == MG_EV_CLOSE:
            try:
                manager.close()
            except RuntimeError as error:
                errors.append(str(error))

    manager = Manager(handler)
    listening(manager)
    manager.close()
    assert "is being polled" in errors[0]
    assert manager._freed


def test_what_leaves_a_block_is_not_swallowed() -> None:
    manager = Manager(hello)
    with pytest.raises(KeyError), manager:
        raise KeyError
    assert manager._freed


def test_a_thread_serves_until_stop() -> None:
    manager = Manager(hello)
    port = listening(manager)
    manager.start()
    names = [thread.name for thread in threading.enumerate()]
    assert any(name.startswith("exeunt-manager-") for name in names)
    assert ask(port).result().body == b"hello"
    report = manager.stop()
    assert report.is_clean
    assert manager._freed
    assert manager.stop() is report
    assert is_free(port)
    assert not any(it.name.startswith("exeunt-manager-") for it in threading.enumerate())


def test_stop_answers_what_is_in_flight() -> None:
    slow = Slow()
    slow.manager.start()
    answer = ask(slow.port)
    assert slow.asked.wait(PATIENCE)
    threading.Timer(0.02, slow.answer).start()
    with slow.manager:
        pass
    assert answer.result().body == b"late"
    assert slow.manager._freed


def test_what_cannot_be_says_so() -> None:
    manager = Manager(hello)
    with pytest.raises(RuntimeError, match="was not started"):
        manager.stop()
    with pytest.raises(RuntimeError, match="nothing to stop"):
        manager.request_stop("too early")
    manager.start()
    with pytest.raises(RuntimeError, match="was started before"):
        manager.start()
    calls: list[Callable[[], object]] = [manager.run, manager.drain, manager.close]
    for call in calls:
        with pytest.raises(RuntimeError, match="while the thread of start"):
            call()
    with pytest.raises(RuntimeError, match="not reentrant"):
        manager.poll()
    manager.stop()
    closed = Manager(hello)
    closed.close()
    calls = [closed.start, closed.drain, closed.run]
    for call in calls:
        with pytest.raises(RuntimeError, match="freed"):
            call()


class Stuck:
    """A handler that does not return until it is let go."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.let_go = threading.Event()
        self.errors: list[str] = []
        self.manager = Manager(self.handler)
        self.port = listening(self.manager)

    def handler(self, conn: Connection, ev: int, data: object) -> None:
        if ev == MG_EV_HTTP_MSG:
            self.entered.set()
            self.let_go.wait(PATIENCE)
            try:
                self.manager.stop()
            except RuntimeError as error:
                self.errors.append(str(error))
            conn.reply(200, b"hello")


def test_a_handler_that_holds_up_the_stop_is_named_and_nothing_closed_under_it() -> None:
    stuck = Stuck()
    stuck.manager.start()
    answer = ask(stuck.port)
    assert stuck.entered.wait(PATIENCE)
    with pytest.raises(TimeoutError, match=r"handler .*test_manager_stop\.py:\d+, in .*wait at"):
        stuck.manager.stop(0.05)
    assert not stuck.manager._freed
    stuck.let_go.set()
    assert stuck.manager.stop().cut == ()
    assert answer.result().body == b"hello"
    assert "request_stop() here" in stuck.errors[0]


def test_two_threads_may_stop_it() -> None:
    stuck = Stuck()
    stuck.manager.start()
    reports: list[object] = []
    answer = ask(stuck.port)
    assert stuck.entered.wait(PATIENCE)
    first = threading.Thread(target=lambda: reports.append(stuck.manager.stop()))
    first.start()
    with pytest.raises(TimeoutError, match=r"another thread|did not stop"):
        stuck.manager.stop(0.01)
    stuck.let_go.set()
    reports.append(stuck.manager.stop())
    first.join(PATIENCE)
    assert answer.result().body == b"hello"
    assert len(reports) == 2
    assert reports[0] is reports[1]


def test_a_handler_may_request_the_stop_of_its_thread() -> None:
    def handler(conn: Connection, ev: int, data: object) -> None:
        if ev == MG_EV_HTTP_MSG:
            conn.reply(200, b"bye")
            assert manager.request_stop("a test")
            assert not manager.request_stop("again")

    manager = Manager(handler)
    port = listening(manager)
    manager.start()
    assert ask(port).result().body == b"bye"
    assert manager.stop().is_clean


def test_what_a_handler_raises_that_is_no_exception_leaves_stop() -> None:
    def handler(conn: Connection, ev: int, data: object) -> None:
        if ev == MG_EV_HTTP_MSG:
            conn.reply(200, b"bye")
            raised.set()
            raise SystemExit(7)

    raised = threading.Event()
    manager = Manager(handler)
    port = listening(manager)
    manager.start()
    answer = ask(port)
    assert raised.wait(PATIENCE)
    with pytest.raises(SystemExit):
        manager.stop()
    assert answer.result().body == b"bye"
    assert manager._freed
    assert manager.drain_report is not None


def test_stop_says_what_ended_the_thread_of_a_manager_that_was_closed_since() -> None:
    def callback() -> None:
        raise SystemExit(7)

    manager = Manager()
    manager.timer_add(0, callback)
    manager.start()
    deadline = time.monotonic() + PATIENCE
    while not manager._freed:
        assert time.monotonic() < deadline
        with suppress(RuntimeError):
            # Until its thread has ended.
            manager.close(0)
    for _ in range(2):
        with pytest.raises(SystemExit):
            manager.stop()


def test_the_end_of_a_program_that_does_not_stop_its_thread_drains() -> None:
    with program(
        """
        import threading
        from exeunt.mongoose import Manager
        def handler(conn, ev, data):
            if ev == 11:
                asked.set()
                threading.Timer(0.05, manager.wakeup, [conn.id, b"late"]).start()
            elif ev == 19:
                conn.reply(200, data)
        asked = threading.Event()
        manager = Manager(handler, enable_wakeup=True)
        print(manager.listen("http://127.0.0.1:0").local_addr[1])
        manager.start()
        asked.wait()
        """
    ) as run:
        port = int(run.wait_for("\n"))
        assert ask(port).result().body == b"late"
        assert run.end() == (0, f"{port}\n")


def test_a_signal_in_close_cuts_it_short_and_is_delivered_behind_it() -> None:
    with program(
        """
        import os, signal, threading
        from exeunt.mongoose import Manager
        def handler(conn, ev, data):
            if ev == 11:
                asked.set()
        asked = threading.Event()
        manager = Manager(handler)
        print(manager.listen("http://127.0.0.1:0").local_addr[1])
        while not asked.is_set():
            manager.poll(100)
        print("asked")
        threading.Timer(0.05, os.kill, [os.getpid(), signal.SIGINT]).start()
        try:
            manager.close(60)
        except KeyboardInterrupt:
            print("interrupted", manager._freed)
        """
    ) as run:
        answer = ask(int(run.wait_for("\n")))
        status, out = run.end()
        assert answer.exception() is not None
        assert status == 0, out
        assert out.endswith("interrupted True\n")
