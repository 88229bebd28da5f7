"""The server: the engine's event loop within that of asyncio."""

import asyncio
import logging
from asyncio import AbstractEventLoop, CancelledError, Future, Task, TimerHandle
from collections.abc import Callable, Sequence
from math import inf
from os import PathLike
from types import TracebackType
from warnings import warn

from .._current import current
from .._native import Embedded, Exchange
from .conversation import Conversation, Handler
from .drive import Drained, Drive
from .limits import ServerLimits
from .report import ServerReport

Address = tuple[str, int] | str
Pem = bytes | str | PathLike[str]

_log = logging.getLogger("exeunt")

_ASIDE = 3
"""Turns of asyncio's loop between the word that the drain begins and its beginning: who was told
has the time to say goodbye at once, and goes before what the engine says."""
_HURRY = 1.0
"""How long handlers have to end, in seconds, once a drain is cut by a cancellation."""


class Server:
    """A server on the running event loop; see `exeunt.serve`, which makes it.

    It is to be used by the thread of its loop alone, and once.
    """

    # Of one whose arguments were refused, too, for `__del__`.
    _engine: Embedded | None = None
    _report: ServerReport | None = None

    def __init__(
        self,
        handler: Handler,
        urls: Sequence[str],
        *,
        grace: float,
        limits: ServerLimits,
        certificate: Pem | None,
        key: Pem | None,
    ) -> None:
        if not callable(handler):
            raise TypeError(f"the handler is {type(handler).__name__}: give an async function")
        if not grace >= 0:
            raise ValueError(f"grace is {grace}: give seconds, 0 or more")
        if (certificate is None) != (key is None):
            raise ValueError("a certificate needs its key, and a key its certificate: give both")
        self._handler = handler
        self._urls = urls
        self._grace = grace
        self._reserve = min(5.0, grace / 5)
        self._limits = limits
        self._pem = (certificate, key)
        self._loop: AbstractEventLoop | None = None
        self._drive: Drive | None = None
        self._addresses: tuple[Address, ...] = ()
        self._conversations: dict[int, Conversation] = {}
        self._tasks: dict[Task[None], Conversation] = {}
        self._draining = False
        self._drain_began = 0.0
        self._timers: list[TimerHandle] = []
        self._drained: Drained | None = None
        self._cancelled: list[str] | None = None
        """Handlers that were still running at the deadline, once that has come."""
        self._failure: Exception | None = None
        self._waiters: list[Future[None]] = []

    # What it is.

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Where it listens, or listened: address and port of each URL, or the path of a Unix
        socket."""
        return self._addresses

    @property
    def port(self) -> int:
        """The port of the first URL that has one. Raises `RuntimeError` if there is none."""
        for address in self._addresses:
            if not isinstance(address, str):
                return address[1]
        raise RuntimeError("the server listens on no port" if self._engine else _NOT_ENTERED)

    @property
    def draining(self) -> bool:
        """Whether the drain has begun; also when it is over."""
        return self._draining

    @property
    def in_flight(self) -> int:
        """How many handlers are running."""
        return len(self._tasks)

    @property
    def report(self) -> ServerReport | None:
        """How the drain went, once it is over."""
        return self._report

    # How it lives.

    async def __aenter__(self) -> "Server":
        if self._loop is not None:
            raise RuntimeError("this server was entered already: make another")
        self._loop = loop = asyncio.get_running_loop()
        engine = Embedded(self._limits)
        try:
            certificate, key = (_read(pem) for pem in self._pem)
            self._addresses = tuple(engine.listen(url, certificate, key) for url in self._urls)
            self._drive = Drive(loop, engine, self._told, self._left_the_stage, self._fail)
        except BaseException:
            engine.close()
            raise
        self._engine = engine
        self._drive.turn()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        cancelled: CancelledError | None = None
        while self._report is None:
            try:
                await self._wait()
            except CancelledError as again:
                if cancelled is None:
                    self._hurry()
                else:
                    self._finish()
                cancelled = again
        if cancelled is not None:
            raise cancelled

    def stop(self) -> None:
        """Begins the drain, and the grace period, unless it has begun; waits for nothing.

        Listeners close, what was accepted is answered, and what is not done by the drain's deadline
        is cut. Leaving the block does this, and waits for the end.
        """
        loop = self._entered()
        if self._draining:
            return
        self._draining = True
        self._drain_began = loop.time()
        if self._failure is not None:
            self._finish()
            return
        self._at(self._drain_began + self._grace - self._reserve, self._cut)
        self._at(self._drain_began + self._grace, self._finish)
        self._wake()
        self._step_aside(_ASIDE)

    async def serve_forever(self) -> None:
        """Waits until somebody calls `stop`; under `exeunt.run` also until the program is to stop.

        Raises the `OSError` by which the engine failed, if it did.
        """
        self._entered()
        if (app := current()) is None:
            await self.wait_draining()
        else:
            ends = [asyncio.create_task(end) for end in (self.wait_draining(), app.stop.wait())]
            try:
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for end in ends:
                    end.cancel()
        if self._failure is not None:
            raise self._failure

    async def wait_draining(self) -> None:
        """Waits until the drain begins."""
        self._entered()
        while not (self._draining or self._failure):
            await self._wait()

    async def wait_stopped(self) -> ServerReport:
        """Waits until the drain is over; does not begin it."""
        self._entered()
        while self._report is None:
            await self._wait()
        return self._report

    def future(self) -> "Future[None]":
        """A future of its loop."""
        return self._entered().create_future()

    def __del__(self) -> None:
        if self._engine is not None and self._report is None:
            warn(f"{self!r} was never left", ResourceWarning, source=self, stacklevel=1)

    def __repr__(self) -> str:
        state = "draining" if self._draining else "serving" if self._engine else "new"
        return f"<Server {state} {', '.join(self._urls)}>"

    # What it is told.

    def _told(self, what: int, connection: int, payload: object) -> None:
        if isinstance(payload, Exchange):
            self._begin(connection, payload)
            return
        conversation = self._conversations.get(connection)
        websocket = conversation.websocket if conversation is not None else None
        match what, payload:
            case 1, str() | bytes() if websocket is not None:
                websocket.arrived(payload)
            case 2, (int() as code, str() as reason) if websocket is not None:
                websocket.closing(code, reason)
            case 3, _ if conversation is not None:
                conversation.writable()
            case 4, text:
                _log.debug("connection %d: %s", connection, text)
            case 5, _ if conversation is not None:
                del self._conversations[connection]
                conversation.left()

    def _begin(self, connection: int, exchange: Exchange) -> None:
        conversation = Conversation(self, exchange)
        self._conversations[connection] = conversation
        name = f"{exchange.method} {exchange.path}"
        task = self._entered().create_task(conversation.run(self._handler), name=name)
        conversation.task = task
        self._tasks[task] = conversation
        task.add_done_callback(self._ended)

    def _ended(self, task: "Task[None]") -> None:
        del self._tasks[task]
        if not task.cancelled():
            # The loop itself raises what is no Exception; the rest the conversation has seen to.
            task.exception()
        self._check()

    # How it ends.

    def _step_aside(self, turns: int) -> None:
        if turns > 0:
            self._entered().call_soon(self._step_aside, turns - 1)
        elif self._drive is not None and self._cancelled is None:
            self._drive.deadline = self._drain_began + self._grace - self._reserve
            self._drive.turn()

    def _cut(self) -> None:
        """The deadline has come: what is in flight is cut, and its handlers are cancelled."""
        if self._cancelled is not None or self._report is not None:
            return
        if self._drive is not None:
            # Clients get their 503, or a reset, before a handler may say something else.
            self._drive.deadline = self._entered().time()
            self._drive.turn()
        running = [conversation for task, conversation in self._tasks.items() if not task.done()]
        self._cancelled = [conversation.name for conversation in running]
        for conversation in running:
            conversation.end()
        self._check()

    def _hurry(self) -> None:
        """The drain itself was cancelled."""
        if self._report is None:
            self._cut()
            self._at(self._entered().time() + _HURRY, self._finish)

    def _check(self) -> None:
        if self._draining and self._drained is not None and not self._tasks:
            self._finish()

    def _finish(self) -> None:
        """Nothing is left, or the time is up."""
        if self._report is not None or self._engine is None:
            return
        loop = self._entered()
        _, cut, count, troubles = self._drained or self._give_up(self._engine)
        self._report = ServerReport(
            duration=loop.time() - self._drain_began,
            cut=tuple(cut),
            cut_count=count,
            cancelled=tuple(self._cancelled or ()),
            unfinished=tuple(conversation.name for conversation in self._tasks.values()),
            troubles=tuple(troubles),
        )
        if self._drive is not None:
            self._drive.leave()
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._engine.close()
        for conversation in [*self._conversations.values()]:
            conversation.left()
        self._conversations.clear()
        self._wake()

    def _left_the_stage(self, drained: Drained) -> None:
        """The engine has nothing left."""
        self._drained = drained
        self._check()

    def _give_up(self, engine: Embedded) -> Drained:
        """Ends the engine's drain, which has had its time."""
        try:
            return engine.drain_now()
        except (OSError, RuntimeError) as error:
            return 0.0, [], 0, [f"of {self!r}: {error}"]

    def _fail(self, error: Exception) -> None:
        """The engine cannot go on."""
        _log.error("the server cannot go on: %s", error)
        self._failure = error
        if self._draining:
            self._finish()
        self._wake()

    # Waiting.

    def _entered(self) -> AbstractEventLoop:
        if self._loop is None:
            raise RuntimeError(_NOT_ENTERED)
        return self._loop

    def _at(self, when: float, act: Callable[[], None]) -> None:
        # Without end there is nothing to wait for.
        if when < inf:
            self._timers.append(self._entered().call_at(when, act))

    async def _wait(self) -> None:
        waiter = self.future()
        self._waiters.append(waiter)
        try:
            await waiter
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)


_NOT_ENTERED = "the server was not started: enter it with `async with`"


def _read(pem: Pem | None) -> bytes | None:
    if pem is None or isinstance(pem, bytes):
        return pem
    with open(pem, "rb") as file:
        return file.read()


def serve(
    handler: Handler,
    url: str,
    *urls: str,
    grace: float = 25.0,
    limits: ServerLimits | None = None,
    certificate: Pem | None = None,
    key: Pem | None = None,
) -> Server:
    """A server on the running event loop, for `async with`.

    ```python
    async def handler(request: exeunt.Request) -> exeunt.Response:
        return exeunt.Response(200, {"X-Hello": "world"}, "hello")

    async with exeunt.serve(handler, "http://127.0.0.1:8000") as server:
        await server.serve_forever()
    ```

    `handler` is called for each request, in a task of its own on this loop, and returns the answer:
    a `Response`, bytes, a `str`, a `dict` or `list` (JSON), an async iterable (sent as it comes),
    or an `EventStream`. It may upgrade to a WebSocket (`Request.websocket`). A client that goes
    cancels the task. An exception is a 500, and goes to the logger `exeunt`.

    URLs are such as `http://127.0.0.1:8000`, `http://[::1]:0` (a port that the kernel chooses, see
    `Server.port`), `https://...` (with `certificate` and `key`, PEM as bytes or the path of a file)
    or `http+unix:/run/site.sock`.

    Leaving the block drains, however it is left: listeners close without losing anybody (rule D3),
    what was accepted is answered, and what is not done at the drain's deadline (`grace` seconds
    less a fifth, or less 5 s) is cut: its clients get 503, its handlers are cancelled, and all of
    it is in `Server.report`. Nothing takes longer than `grace`. Cancelling while it drains cuts at
    once, and doing so again waits for nothing more.

    Entering raises `ValueError` for a URL or a certificate that is none, and `OSError` for an
    address that cannot be had.
    """
    return Server(
        handler,
        (url, *urls),
        grace=grace,
        limits=limits or ServerLimits(),
        certificate=certificate,
        key=key,
    )
