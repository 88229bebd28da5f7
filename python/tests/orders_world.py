"""What calls in any order are made on: managers, connections, timers, views and clients."""

import contextlib
import gc
import os
import signal
import socket
import threading
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any

from orders_calls import SENT, Call, any_call, likely_answer

from exeunt import mongoose

# What any call may raise, whatever it is given and whenever.
DOCUMENTED = (RuntimeError, ValueError, TypeError, OverflowError)
# For what an order begins, and another must end.
PATIENCE_S = 60


class PlannedError(Exception):
    """Raised by a handler, since that was drawn."""


class PlannedEnd(BaseException):
    """The same of what is no `Exception`: it leaves `poll`."""


class World:
    """Everything that was made, with the calls that handlers have yet to make.

    Things are found by a number, modulo how many there are: what is drawn never depends on what
    has happened, so that it can be replayed as far as threads and sockets can.
    """

    def __init__(self, tell: Callable[[str], None], seed: int) -> None:
        self.tell = tell
        self.random = Random(seed)
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
        those = getattr(self, f"{kind}s")
        # Another thread may have taken the last one out meanwhile.
        with contextlib.suppress(IndexError, ZeroDivisionError):
            return those[index % len(those)]
        return None

    def handler(self, conn: Any, ev: int, data: Any) -> None:
        """Keeps what it is given, and makes the next call that is planned, mostly on that."""
        if self.random.random() < 0.2 or not self.connections:
            self.connections.append(conn)
        if data is not None:
            self.views.append(data)
        if self.plans and self.random.random() < 0.7:
            plan = self.plans.popleft()
            here = plan.kind in ("connection", "view") and self.random.random() < 0.8
            on = (conn if plan.kind == "connection" else data) if here else None
            self.call(plan, f"event {ev}", on, data)
        elif ev == mongoose.MG_EV_HTTP_MSG:
            self.call(likely_answer(self.random), f"event {ev}", conn, data)

    def callback(self, *_: object) -> None:
        """A timer's."""
        if self.plans:
            self.call(self.plans.popleft(), "timer")

    def raising(self, *_: object) -> None:
        raise PlannedError("as drawn")

    def ending(self, *_: object) -> None:
        raise PlannedEnd("as drawn")

    def resolve(self, argument: Any, data: Any) -> Any:
        """What stands for something of the world, as that."""
        if not isinstance(argument, Call):
            return argument
        if argument.kind == "self":
            return getattr(self, argument.name)
        if argument.kind == "url":
            return f"{argument.name}://127.0.0.1:{self.port(argument.index)}"
        if argument.kind == "view" and data is not None:
            return data
        return self.pick(argument.kind, self.random.randrange(40))

    def port(self, index: int) -> int:
        """Of a listener; that of nobody (discard, RFC 863), where there is none or it is closed."""
        listener = self.pick("listener", index)
        address = listener.local_addr if listener is not None else None
        return address[1] if address else 9

    def call(self, call: Call, within: str = "the test", on: Any = None, data: Any = None) -> None:
        """Makes it; whatever is raised that is not documented is kept."""
        target = on if on is not None else self.pick(call.kind, call.index)
        # The data of an event may be a number, text or bytes.
        if target is None or (call.kind == "view" and not hasattr(type(target), call.name)):
            return
        self.tell(f"{within}: {call.kind} {call.index} {call.name}{call.arguments!r:.300}")
        try:
            found = getattr(target, call.name)
            arguments = [self.resolve(argument, data) for argument in call.arguments]
            result = found(*arguments) if callable(found) else found
        except (*DOCUMENTED, PlannedError, PlannedEnd) as error:
            self.tell(f"  {type(error).__name__}: {error!s:.200}")
        except AttributeError as error:
            if call.name != "__setattr__":
                self.wrong.append(error)
        except OSError as error:
            # Of a client's socket, or that a stop was held up: nothing else is one.
            if call.kind != "client" and not isinstance(error, TimeoutError):
                self.wrong.append(error)
        except BaseException as error:
            self.wrong.append(error)
        else:
            self.tell(f"  gave {type(result).__name__}")
            self.keep(call.name, result)

    def keep(self, name: str, result: Any) -> None:
        if isinstance(result, mongoose.Connection):
            self.connections.append(result)
            if name == "listen":
                self.listeners.append(result)
        elif isinstance(result, mongoose.Timer):
            self.timers.append(result)

    def calls(self, count: int, within: str = "the test") -> None:
        for _ in range(count):
            self.call(any_call(self.random), within)

    def make(self, handler: Any, enable_wakeup: bool, error_handler: Any) -> None:
        with contextlib.suppress(*DOCUMENTED):
            given = (handler, enable_wakeup, error_handler)
            made = mongoose.Manager(*(self.resolve(argument, None) for argument in given))
            self.managers.append(made)

    def serve(self, scheme: str) -> None:
        """One that is in use: it listens, has a client, and was asked by another."""
        self.make(Call("self", 0, "handler"), True, None)
        last = len(self.managers) - 1
        self.call(Call("manager", last, "listen", (f"{scheme}://127.0.0.1:0",)))
        self.call(Call("manager", last, "connect", (Call("url", -1, scheme),)))
        self.connect_client(-1)
        self.turn(last, 4)

    def turn(self, index: int, times: int) -> None:
        for _ in range(times):
            self.call(Call("manager", index, "poll", (1,)))

    def connect_client(self, index: int) -> None:
        client = socket.socket()
        client.settimeout(1)
        with contextlib.suppress(OSError):
            client.connect(("127.0.0.1", self.port(index)))
            client.setblocking(False)
            if len(self.clients) == self.clients.maxlen:
                self.clients.popleft().close()
            self.clients.append(client)
            # Mostly what is understood.
            client.send(self.random.choice(SENT[: self.random.choice([4, 11])]))
            return
        client.close()

    def in_thread(self, count: int) -> None:
        if len(self.threads) >= 6:
            self.join(self.threads.pop(0))
        thread = threading.Thread(target=self.calls, args=(count, "a thread"), daemon=True)
        thread.start()
        self.threads.append(thread)

    def join(self, thread: threading.Thread) -> None:
        thread.join(PATIENCE_S)
        if thread.is_alive():
            self.wrong.append(AssertionError(f"{thread} has not come back"))

    def poll_without_limit(self, index: int) -> None:
        """Ends by a timer that goes on firing, whoever polls."""
        manager = self.pick("manager", index)
        if manager is None:
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
        if manager is None:
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
        for those in (self.connections, self.listeners, self.timers, self.views):
            those.clear()
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
                # A plan may have left its thread polling. It is given the time that it needs, once
                # what nobody answers any more is cut.
                with contextlib.suppress(*DOCUMENTED, PlannedEnd, TimeoutError):
                    manager.stop(0.5)
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
