"""Whom a connection tells, and what it keeps alive (P10)."""

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from wire import connected, loop

from exeunt.mongoose import MG_EV_READ, Connection, Manager


def test_a_handler_of_its_own() -> None:
    told: list[str] = []

    def named(name: str) -> Callable[[Connection, int, Any], None]:
        def handler(conn: Connection, ev: int, data: Any) -> None:
            if ev == MG_EV_READ:
                told.append(name)

        return handler

    own, other = named("own"), named("other")
    with loop(named("manager's")) as at:
        port = at.listen("tcp://127.0.0.1:0")
        (listener,) = at.manager.connections
        assert listener.handler is None
        with connected(port) as sock:
            at.until(lambda: len(at.manager.connections) == 2)
            conn = at.manager.connections[1]
            for handler, name in ((own, "own"), (other, "other"), (None, "manager's")):
                conn.set_handler(handler)
                assert conn.handler is handler
                sock.sendall(b"x")
                at.until(lambda name=name: told and told[-1] == name)  # type: ignore[misc]
        wrong: list[Any] = [5, "print", []]
        for bad in wrong:
            with pytest.raises(TypeError, match="callable"):
                listener.set_handler(bad)
        listener.set_handler(own)
        with connected(port) as sock:
            sock.sendall(b"x")
            at.until(lambda: told[-1] == "own")


def test_a_closed_connection_lets_go_of_its_handler() -> None:
    class Kept:
        def __call__(self, conn: Connection, ev: int, data: Any) -> None: ...

    kept = Kept()
    gone = weakref.ref(kept)
    with loop() as at:
        listener = at.manager.listen("tcp://127.0.0.1:0", kept)
        del kept
        assert gone() is not None
        listener.close()
        at.until(lambda: not at.manager.connections)
        gc.collect()
        assert gone() is None


def test_a_cycle_through_a_connection_is_collected() -> None:
    manager = Manager()
    listener = manager.listen("tcp://127.0.0.1:0")
    gone = weakref.ref(listener)
    listener.userdata = [listener, manager]
    listener.set_handler(lambda *_: listener)  # noqa: F821
    del listener, manager
    gc.collect()
    assert gone() is None
