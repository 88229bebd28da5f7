"""The Manager, from outside."""

import gc
import http.client
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from exeunt.mongoose import MG_EV_HTTP_MSG, MG_EV_OPEN, Connection, Manager

OPEN, POLL, ACCEPT, CLOSE, WAKEUP = 1, 2, 5, 9, 19


def port_of(listener: Connection) -> int:
    assert listener.local_addr is not None
    return listener.local_addr[1]


@contextmanager
def polling(manager: Manager) -> Iterator[threading.Thread]:
    """Another thread polls meanwhile."""
    over = threading.Event()

    def poll() -> None:
        while not over.is_set():
            manager.poll(20)

    thread = threading.Thread(target=poll)
    thread.start()
    try:
        yield thread
    finally:
        over.set()
        thread.join()


def test_a_request_is_answered() -> None:
    def handler(conn: Connection, ev: int, data: object) -> None:
        if ev == MG_EV_HTTP_MSG:
            conn.reply(200, b"hello")

    with Manager(handler) as manager:
        listener = manager.listen("http://127.0.0.1:0")
        with polling(manager):
            client = http.client.HTTPConnection("127.0.0.1", port_of(listener), timeout=10)
            client.request("GET", "/")
            answer = client.getresponse()
            assert (answer.status, answer.read()) == (200, b"hello")
            client.close()
    assert manager._freed


def test_connections_are_the_very_objects_oldest_first() -> None:
    manager = Manager()
    assert not list(manager.connections)
    first = manager.listen("tcp://127.0.0.1:0")
    second = manager.listen("tcp://127.0.0.1:0")
    assert list(manager.connections) == [first, second]
    assert manager.connections[0] is first
    first.close()
    manager.poll(0)
    assert list(manager.connections) == [second]
    manager.close()
    assert isinstance(manager.connections, tuple)
    assert not list(manager.connections)


def test_in_close_a_connection_is_still_itself() -> None:
    seen = []

    def handler(conn: Connection, ev: int, data: object) -> None:
        if ev == CLOSE:
            seen.append((conn, conn.id, manager.connections))

    manager = Manager(handler)
    listeners = [manager.listen("tcp://127.0.0.1:0") for _ in range(3)]
    ids = [listener.id for listener in listeners]
    manager.close(grace=0)
    assert [conn for conn, _, _ in seen] == listeners[::-1]
    assert [number for _, number, _ in seen] == ids[::-1]
    assert seen[0][2] == tuple(listeners)
    assert seen[2][2] == (listeners[0],)


def test_who_is_accepted_has_the_handler_of_his_listener() -> None:
    told: list[tuple[str, int]] = []

    def everyone(conn: Connection, ev: int, data: object) -> None:
        told.append(("manager", ev))

    def own(conn: Connection, ev: int, data: object) -> None:
        told.append(("own", ev))

    with Manager(everyone) as manager:
        manager.listen("tcp://127.0.0.1:0", own)
        assert told == [("own", OPEN)]
        client = manager.connect(f"tcp://127.0.0.1:{port_of(manager.connections[0])}")
        while ("own", ACCEPT) not in told:
            manager.poll(1000)
        assert ("manager", ACCEPT) not in told
        assert ("manager", OPEN) in told
        client.close()


def test_a_closed_manager_begins_nothing() -> None:
    manager = Manager(enable_wakeup=True)
    states = [manager._freed]
    manager.close()
    states.append(manager._freed)
    manager.close()
    assert states == [False, True]
    for call in (
        manager.poll,
        lambda: manager.wakeup(1),
        lambda: manager.timer_add(1, print),
        lambda: manager.listen("tcp://127.0.0.1:0"),
        lambda: manager.connect("tcp://127.0.0.1:1"),
        lambda: manager.ws_connect("ws://127.0.0.1:1"),
    ):
        with pytest.raises(RuntimeError, match="Manager has been freed"):
            call()


def test_what_cannot_be_listened_on_says_so() -> None:
    with Manager() as manager:
        port = port_of(manager.listen("tcp://127.0.0.1:0"))
        for url in ("nonsense", f"tcp://127.0.0.1:{port}", "tcp://127.0.0.1:99999"):
            with pytest.raises(RuntimeError, match="Failed to listen"):
                manager.listen(url)


def test_what_cannot_be_called_is_refused_when_it_is_given() -> None:
    with pytest.raises(TypeError, match=r"^handler must be callable or None, not int$"):
        Manager(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^error_handler must be callable or None, not int$"):
        Manager(error_handler=3)  # type: ignore[arg-type]
    with Manager() as manager:
        with pytest.raises(TypeError, match="callback must be callable"):
            manager.timer_add(1, 3)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="handler must be callable"):
            manager.listen("tcp://127.0.0.1:0", 3)  # type: ignore[arg-type]
        assert manager.connections == ()


def test_poll_is_not_reentrant() -> None:
    refusals: list[str] = []

    def handler(conn: Connection, ev: int, data: object) -> None:
        if ev == WAKEUP:
            for call in (manager.poll, manager.close):
                try:
                    call()
                except RuntimeError as error:
                    refusals.append(str(error))

    with Manager(handler, enable_wakeup=True) as manager:
        listener = manager.listen("tcp://127.0.0.1:0")
        assert manager.wakeup(listener.id)
        manager.poll(1000)
        assert len(refusals) == 2
        assert "not reentrant" in refusals[0]
        assert "being polled" in refusals[1]


def test_another_thread_is_refused_at_once() -> None:
    with Manager(enable_wakeup=True) as manager:
        listener = manager.listen("tcp://127.0.0.1:0")
        manager.poll(0)
        thread = threading.Thread(target=lambda: manager.poll(-1))
        thread.start()
        refusal = ""
        while "not reentrant" not in refusal:
            try:
                manager.poll(0)
            except RuntimeError as error:
                refusal = str(error)
        with pytest.raises(RuntimeError, match="being polled"):
            manager.close()
        assert manager.wakeup(listener.id)
        thread.join()


def test_wakeups_arrive_all_of_them_in_order() -> None:
    arrived = []

    def handler(conn: Connection, ev: int, data: object) -> None:
        if ev == WAKEUP:
            arrived.append(data)

    with Manager(handler) as manager:
        listener = manager.listen("tcp://127.0.0.1:0")
        assert manager.wakeup(listener.id, b"never") is False
    with Manager(handler, enable_wakeup=True) as manager:
        listener = manager.listen("tcp://127.0.0.1:0")
        assert manager.wakeup(listener.id + 1000) is False
        payloads = [b"%d" % number for number in range(1500)] + [b"x" * 1_000_000, b""]
        for payload in payloads:
            assert manager.wakeup(listener.id, payload) is True
        while len(arrived) < len(payloads):
            manager.poll(1000)
        assert arrived == payloads


def test_a_manager_that_is_garbage_gives_its_port_back() -> None:
    manager = Manager()
    listener = manager.listen("tcp://127.0.0.1:0")
    url = f"tcp://127.0.0.1:{port_of(listener)}"
    del manager
    assert listener.local_addr is None
    with Manager() as other:
        other.listen(url)


def test_a_manager_in_a_cycle_is_collected() -> None:
    class Server:
        def __init__(self) -> None:
            self.manager = Manager(self.handle, error_handler=self.handle)
            self.listener = self.manager.listen("tcp://127.0.0.1:0", self.handle)
            self.listener.userdata = self
            self.timer = self.manager.timer_add(1_000_000, self.handle, repeat=True)

        def handle(self, *told: object) -> None:
            pass

    server = Server()
    gone, listener = weakref.ref(server), server.listener
    port = port_of(listener)
    del server, listener
    gc.collect()
    assert gone() is None
    with Manager() as other:
        other.listen(f"tcp://127.0.0.1:{port}")


def test_a_subclass_takes_what_it_likes() -> None:
    class Server(Manager):
        def __init__(self, port: int, *, name: str) -> None:
            super().__init__(self.handle, enable_wakeup=True)
            self.name = name
            self.told: list[int] = []
            self.listener = self.listen(f"tcp://127.0.0.1:{port}")

        def handle(self, conn: Connection, ev: int, data: object) -> None:
            self.told.append(ev)

    with Server(0, name="here") as server:
        assert server.told == [MG_EV_OPEN]
        assert server.wakeup(server.listener.id)
