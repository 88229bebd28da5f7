"""What calls in any order are made on: managers, connections, timers, views and clients.

Everything is found by a number (modulo how many there are), so that what is drawn never depends on
what has happened: a state machine whose draws did could not be replayed.
"""

import contextlib
import gc
import os
import signal
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from exeunt import mongoose

# What any call may raise, whatever it is given and whenever.
DOCUMENTED = (RuntimeError, ValueError, TypeError, OverflowError)
# One that an order begins, and an order ends.
PATIENCE_S = 60


class Planned(Exception):  # noqa: N818 - it is no error, but what the test wants to be raised
    """Raised by a handler, since that was drawn."""


class PlannedEnd(BaseException):
    """The same of what is no `Exception`: it leaves `poll`."""


@dataclass(frozen=True)
class Call:
    """One call: of what, which of them, what, with what."""

    kind: str
    index: int
    name: str
    arguments: tuple[Any, ...] = ()


class World:
    """Everything that was made, with the calls that handlers have yet to make."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.tell = tell
        self.managers: list[Any] = []
        self.connections: deque[Any] = deque(maxlen=40)
        self.listeners: deque[Any] = deque(maxlen=10)
        self.timers: deque[Any] = deque(maxlen=20)
        self.views: deque[Any] = deque(maxlen=20)
        self.clients: deque[socket.socket] = deque(maxlen=20)
        self.plans: deque[Call] = deque(maxlen=50)
        self.threads: list[threading.Thread] = []
        self.wrong: list[BaseException] = []

    def pick(self, kind: str, index: int) -> Any:
        """None if there is none of that kind."""
        those = {
            "manager": self.managers,
            "connection": self.connections,
            "timer": self.timers,
            "view": self.views,
            "client": self.clients,
        }[kind]
        return those[index % len(those)] if those else None

    def handler(self, conn: Any, ev: int, data: Any) -> None:
        """Keeps what it is given, and makes the next call that is planned."""
        self.connections.append(conn)
        if data is not None:
            self.views.append(data)
        if self.plans:
            self.call(self.plans.popleft(), within=f"event {ev}")

    def callback(self) -> None:
        """A timer's."""
        if self.plans:
            self.call(self.plans.popleft(), within="timer")

    def raising(self, *_: object) -> None:
        raise Planned("as drawn")

    def ending(self, *_: object) -> None:
        raise PlannedEnd("as drawn")

    def resolve(self, argument: Any) -> Any:
        """What stands for something of the world, as that."""
        if isinstance(argument, Call):
            if argument.kind == "self":
                return getattr(self, argument.name)
            if argument.kind == "url":
                return self.url_of_listener(argument.index, argument.name)
            return self.pick(argument.kind, argument.index)
        return argument

    def url_of_listener(self, index: int, scheme: str) -> str:
        found = list(self.listeners)
        address = found[index % len(found)].local_addr if found else None
        # That of nobody, where there is none or it is closed.
        return f"{scheme}://127.0.0.1:{address[1] if address else 9}"

    def call(self, call: Call, within: str = "the test") -> None:
        """Makes it; whatever is raised that is not documented is kept."""
        target = self.pick(call.kind, call.index)
        if target is None or (call.kind != "client" and not hasattr(type(target), call.name)):
            return
        self.tell(f"{within}: {call.kind}[{call.index}].{call.name}{call.arguments!r:.300}")
        try:
            found = getattr(target, call.name)
            result = found(*map(self.resolve, call.arguments)) if callable(found) else found
        except (*DOCUMENTED, Planned, PlannedEnd) as error:
            self.tell(f"  {type(error).__name__}: {error!s:.200}")
        except OSError as error:
            # Of a client's socket; the package's own are RuntimeErrors.
            if call.kind != "client":
                self.wrong.append(error)
        except BaseException as error:
            self.wrong.append(error)
        else:
            self.keep(call.name, result)

    def keep(self, name: str, result: Any) -> None:
        if isinstance(result, mongoose.Connection):
            self.connections.append(result)
            if name == "listen":
                self.listeners.append(result)
        elif type(result).__name__ == "Timer":
            self.timers.append(result)

    def make(self, arguments: Sequence[Any]) -> None:
        with contextlib.suppress(*DOCUMENTED):
            self.managers.append(mongoose.Manager(*map(self.resolve, arguments)))

    def connect_client(self, index: int) -> None:
        url = self.url_of_listener(index, "tcp")
        client = socket.socket()
        client.settimeout(1)
        with contextlib.suppress(OSError):
            client.connect(("127.0.0.1", int(url.rpartition(":")[2])))
            client.setblocking(False)
            self.clients.append(client)
            return
        client.close()

    def in_thread(self, call: Call) -> None:
        if len(self.threads) >= 6:
            self.join(self.threads.pop(0))
        thread = threading.Thread(target=self.call, args=(call, "a thread"), daemon=True)
        thread.start()
        self.threads.append(thread)

    def join(self, thread: threading.Thread) -> None:
        thread.join(PATIENCE_S)
        if thread.is_alive():
            self.wrong.append(AssertionError(f"{thread} has not come back"))

    def poll_without_limit(self, index: int) -> None:
        """Ends by a timer that goes on firing, whoever polls."""
        manager = self.pick("manager", index)
        if manager is None or not hasattr(manager, "timer_add"):
            return
        with contextlib.suppress(*DOCUMENTED, PlannedEnd):
            timer = manager.timer_add(1, self.callback, repeat=True)
            try:
                manager.poll(-1)
            finally:
                timer.cancel()

    def run(self, index: int) -> None:
        """Ends by a signal that goes on coming."""
        manager = self.pick("manager", index)
        if manager is None or not hasattr(manager, "run"):
            return
        # The third signal forces the end, and says so.
        with contextlib.suppress(*DOCUMENTED, PlannedEnd, SystemExit):
            timer = manager.timer_add(5, lambda: os.kill(os.getpid(), signal.SIGTERM), repeat=True)
            try:
                manager.run()
            finally:
                timer.cancel()

    def forget(self, index: int) -> None:
        """Drops a manager that nobody has closed, with all that may hold it."""
        if self.managers:
            del self.managers[index % len(self.managers)]
        self.connections.clear()
        self.listeners.clear()
        self.timers.clear()
        self.views.clear()
        gc.collect()

    def end(self) -> None:
        """Closes everything, and says what went wrong."""
        for thread in self.threads:
            self.join(thread)
        self.plans.clear()
        for client in self.clients:
            client.close()
        for manager in self.managers:
            try:
                # A plan may have left its thread polling.
                if hasattr(manager, "stop"):
                    with contextlib.suppress(*DOCUMENTED, PlannedEnd):
                        manager.stop(PATIENCE_S)
                # What a handler of CLOSE raised leaves it, when all is closed.
                with contextlib.suppress(PlannedEnd):
                    manager.close(0.1)
                assert manager._freed
            except BaseException as error:
                self.wrong.append(error)
        self.managers.clear()
        gc.collect()
        if self.wrong:
            raise AssertionError(f"undocumented: {self.wrong!r}") from self.wrong[0]
