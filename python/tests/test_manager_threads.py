"""A Manager and its connections, used by many threads."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from exeunt.mongoose import (
    MG_EV_CLOSE,
    MG_EV_HTTP_MSG,
    MG_EV_OPEN,
    MG_EV_READ,
    Connection,
    HttpMessage,
    Manager,
    _background,
)
from exeunt.mongoose._background import Background

PATIENCE_S = 30.0


def port_of(listener: Connection) -> int:
    assert listener.local_addr is not None
    return listener.local_addr[1]


def in_threads(*calls: Callable[[], object]) -> None:
    """Each in a thread of its own; what one raises is raised here."""
    raised: list[BaseException] = []

    def guarded(call: Callable[[], object]) -> None:
        try:
            call()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=guarded, args=(call,), daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive(), "a thread has not come back"
    if raised:
        raise raised[0]


def test_made_here_polled_there_closed_elsewhere() -> None:
    made: list[Manager] = []
    in_threads(lambda: made.append(Manager()))
    (manager,) = made
    in_threads(lambda: manager.listen("tcp://127.0.0.1:0"))
    in_threads(lambda: manager.poll(1))
    in_threads(manager.close)
    assert manager._freed


def test_everything_is_read_and_done_while_another_thread_polls() -> None:
    views: list[HttpMessage] = []
    told: set[int] = set()

    def handler(conn: Connection, ev: int, data: Any) -> None:
        told.add(ev)
        if ev == MG_EV_HTTP_MSG:
            views.append(data)
            conn.reply(200, b"ok")

    manager = Manager(handler, enable_wakeup=True)
    listener = manager.listen("http://127.0.0.1:0")
    datagrams = manager.listen("udp://127.0.0.1:0")
    over = threading.Event()

    def poll() -> None:
        while not over.is_set():
            manager.poll(-1)

    def clients() -> None:
        for _ in range(30):
            with socket.create_connection(("127.0.0.1", port_of(listener)), 20) as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                assert b"200 OK" in client.recv(65536)

    def connects() -> None:
        for _ in range(30):
            conn = manager.connect(f"tcp://127.0.0.1:{port_of(listener)}")
            assert isinstance(conn.id, int)
            conn.close()
            udp = manager.connect(f"udp://127.0.0.1:{port_of(datagrams)}")
            udp.send(b"datagram")
            udp.drain()

    def reads() -> None:
        for _ in range(300):
            for conn in manager.connections:
                conn.userdata = [conn.id, conn.local_addr, conn.remote_addr, conn.is_closing]
                conn.recv_data()
            for view in views[-20:]:
                assert isinstance(view.uri, str)
                bool(view)

    def adds() -> None:
        for number in range(300):
            timer = manager.timer_add(0, lambda: None, repeat=bool(number % 2))
            assert manager.wakeup(listener.id, b"x")
            timer.cancel()

    poller = threading.Thread(target=poll, daemon=True)
    poller.start()
    try:
        deadline = time.monotonic() + PATIENCE_S
        while MG_EV_OPEN not in told and time.monotonic() < deadline:
            time.sleep(0.001)
        in_threads(clients, clients, connects, connects, reads, reads, adds, adds)
    finally:
        over.set()
        manager.wakeup(listener.id)
        poller.join(PATIENCE_S)
    assert not poller.is_alive()
    assert MG_EV_READ in told
    assert not any(views)

    def close() -> None:
        while not manager._freed:
            with contextlib.suppress(RuntimeError):
                manager.close()

    in_threads(close, close, close, close)


def test_while_a_poll_waits_all_others_are_refused_at_once() -> None:
    with Manager(enable_wakeup=True) as manager:
        manager.poll(0)
        waits = threading.Thread(target=lambda: manager.poll(-1))
        waits.start()
        refusals = 0
        deadline = time.monotonic() + PATIENCE_S
        while refusals < 100 and time.monotonic() < deadline:
            try:
                manager.poll(0)
            except RuntimeError:
                refusals += 1
        refused: tuple[Callable[[], None], ...] = (manager.close, lambda: manager.poll(-1))
        for call in refused:
            with pytest.raises(RuntimeError, match=r"not reentrant|being polled"):
                call()
        assert manager.wakeup(manager.wakeup_id)
        waits.join(PATIENCE_S)
        assert not waits.is_alive()


def test_a_close_among_calls_of_other_threads_ends_them_with_an_error_at_worst() -> None:
    for _ in range(30):
        manager = Manager(enable_wakeup=True)
        listener = manager.listen("tcp://127.0.0.1:0")
        start = threading.Barrier(5)
        refusals: list[str] = []

        def work(
            call: Callable[[], object],
            manager: Manager = manager,
            start: threading.Barrier = start,
            refusals: list[str] = refusals,
        ) -> None:
            start.wait(PATIENCE_S)
            for _ in range(50):
                try:
                    call()
                except RuntimeError as error:
                    refusals.append(str(error))

        calls: list[Callable[[], object]] = [
            lambda manager=manager: manager.poll(0),  # type: ignore[misc]
            lambda manager=manager: manager.listen("tcp://127.0.0.1:0").id,  # type: ignore[misc]
            lambda manager=manager: manager.timer_add(0, print).cancel(),  # type: ignore[misc]
            lambda conn=listener, manager=manager: (conn.id, manager.wakeup(1)),  # type: ignore[misc]
        ]

        def closes(manager: Manager = manager, start: threading.Barrier = start) -> None:
            start.wait(PATIENCE_S)
            while not manager._freed:
                try:
                    manager.close()
                except RuntimeError:
                    time.sleep(0)

        in_threads(closes, *[lambda call=call, work=work: work(call) for call in calls])
        assert manager.connections == ()
        known = ("freed", "reentrant", "being polled", "closed")
        assert [said for said in refusals if not any(text in said for text in known)] == []


def test_one_thread_starts_it_when_two_do_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class Between(Background):
        def __init__(self, manager: Manager) -> None:
            with pytest.raises(RuntimeError, match="was started before"):
                manager.start()
            super().__init__(manager)

    monkeypatch.setattr(_background, "Background", Between)
    manager = Manager()
    manager.start()
    assert manager.stop().is_clean


def test_a_start_that_gets_no_thread_can_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    manager = Manager()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none)
        with pytest.raises(RuntimeError, match="new thread"):
            manager.start()
    manager.start()
    assert manager.stop().is_clean


def test_two_threads_that_close_each_other_s_manager_in_handlers_both_end() -> None:
    both = threading.Barrier(2)
    refused: list[str] = []

    def closes(other: list[Manager]) -> Callable[[Connection, int, Any], None]:
        def handler(conn: Connection, ev: int, data: object) -> None:
            if ev == MG_EV_CLOSE:
                both.wait(PATIENCE_S)
                try:
                    other[0].close(0.01)
                except RuntimeError as error:
                    refused.append(str(error))

        return handler

    second: list[Manager] = []
    first = Manager(closes(second))
    second.append(Manager(closes([first])))
    for manager in (first, second[0]):
        manager.listen("tcp://127.0.0.1:0")
    in_threads(first.close, second[0].close)
    assert first._freed
    assert second[0]._freed
    assert any("being polled" in text for text in refused)
