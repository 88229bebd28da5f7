"""`forkserver`: a process that imports the program once, and is forked for each worker.

It is one of ours and not multiprocessing's: that one resets the signals of a child before the child
can do anything about them, and is shared with the rest of the program. This one has one thread, as
long as the program's modules start none when they are imported.
"""

import itertools
import multiprocessing
import os
import select
import signal
import socket
import sys
import threading
import time
from queue import Empty, SimpleQueue
from typing import Any

from .._bell import Bell
from . import _wire
from ._conversation import Conversation, Wake
from ._errors import WorkerStartError, how
from ._guard import Guard, block
from ._launch import Forked, Launched, Plan, open_pidfd, run_forked, spawn_interpreter
from ._worker import Target, describe, inherit_tracker, load_target, restore_stderr

_FORKED_WITHIN = 5.0
_UNKNOWN = 255


def main(descriptor: int, parent: int, mask: list[int], stderr: int, tracker: int) -> None:
    """Runs the template, started by the pool."""
    end = _wire.adopt(socket.socket(fileno=descriptor))
    inherit_tracker(tracker)
    Guard(lambda: None).install(parent, mask)
    _wire.send(end, "bootstrapped", os.getpid())
    try:
        _, (_, preparation, payload) = _receive(end)
        try:
            target = load_target(preparation, payload)
        except Exception as error:
            _wire.send(end, "failed", *describe(error))
            return
        restore_stderr(stderr)
        _wire.send(end, "ready")
        _Template(end, target, mask).run()
    except (EOFError, OSError):
        # The pool has stopped, or is gone, and its workers know by themselves.
        sys.stdout.flush()
        os._exit(0)


class _Template:
    def __init__(self, end: socket.socket, target: Target, mask: list[int]) -> None:
        self._end = end
        self._target = target
        self._mask = mask
        self._context = multiprocessing.get_context("fork")
        self._children: dict[int, Forked] = {}

    def run(self) -> None:
        while True:
            poll = select.poll()
            poll.register(self._end, select.POLLIN)
            for child in self._children.values():
                poll.register(child.sentinel, select.POLLIN)
            ready = {descriptor for descriptor, _ in poll.poll()}
            for token, child in list(self._children.items()):
                if child.sentinel in ready and (code := child.poll()) is not None:
                    del self._children[token]
                    child.close()
                    _wire.send(self._end, "exited", token, code)
            if self._end.fileno() in ready:
                self._obey(*_receive(self._end))

    def _obey(self, descriptors: list[int], message: tuple[Any, ...]) -> None:
        kind, token, detail = message
        if kind == "fork":
            try:
                child = self._fork(detail, *descriptors)
            except Exception as error:
                _wire.send(self._end, "unforked", token, describe(error)[0])
                return
            self._children[token] = child
            _wire.send(self._end, "forked", token, child.pid)
        elif kind == "signal" and token in self._children:
            self._children[token].signal(detail)

    def _fork(self, name: str, end_descriptor: int, says_descriptor: int) -> Forked:
        end = _wire.adopt(socket.socket(fileno=end_descriptor))
        says = _wire.own(says_descriptor)
        block()
        try:
            with _wire.keeping(end, says):
                forked = self._context.Process(
                    target=run_forked,
                    args=(self._target, end, says, os.getpid(), self._mask),
                    name=name,
                    daemon=False,
                )
                forked.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
            _wire.close(end)
            _wire.close(says)
        return Forked(forked)


def _receive(end: socket.socket) -> tuple[list[int], tuple[Any, ...]]:
    """A message of the pool, and the descriptors that came with the byte in front of it."""
    mark, descriptors, _, _ = socket.recv_fds(end, 1, 2)
    if not mark:
        raise EOFError
    return descriptors, _wire.receive(end)


# In the pool's process.


class TemplateLauncher:
    """Forks each worker from the template, which it starts with the first, and again if it has
    died.
    """

    def __init__(self, plan: Plan, name: str) -> None:
        self._plan = plan
        self._name = f"{name}-template"
        self._starting = threading.Lock()
        self._keeper: _Keeper | None = None

    def launch(self, name: str) -> Launched:
        with self._starting:
            if self._keeper is None or self._keeper.dead:
                self._keeper = _Keeper(self._plan, self._name)
            keeper = self._keeper
        keeper.await_ready()
        return keeper.fork(name)

    def close(self) -> None:
        if self._keeper is not None:
            self._keeper.close()


class _Keeper:
    """The template's process, and the thread that starts it and speaks with it."""

    def __init__(self, plan: Plan, name: str) -> None:
        self._plan = plan
        self._name = name
        self._wake = Wake()
        self._bell = Bell()
        self._tokens = itertools.count(1)
        self._requests: SimpleQueue[tuple[Any, ...] | None] = SimpleQueue()
        self._answers: dict[int, int | str] = {}
        self._exits: dict[int, int] = {}
        self._ready = False
        self._error: WorkerStartError | None = None
        self.dead = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def await_ready(self) -> None:
        self._bell.wait_for(lambda: self._ready or self.dead)
        if not self._ready:
            raise self._error or WorkerStartError(f"{self._name} could not be started", "bootstrap")

    def fork(self, name: str) -> Launched:
        token = next(self._tokens)
        ours, theirs = _wire.pair()
        said, says = _wire.pipe()
        try:
            self._requests.put(("fork", token, name, theirs.fileno(), says.fileno()))
            self._wake.ring()
            self._bell.wait_for(lambda: token in self._answers or self.dead, _FORKED_WITHIN)
            answer = self._answers.pop(token, f"{self._name} did not answer")
            if isinstance(answer, str):
                raise OSError(answer)
        except BaseException:
            _wire.close(ours)
            _wire.close(said)
            raise
        finally:
            _wire.close(theirs)
            _wire.close(says)
        return Launched(_Remote(self, token, answer), ours, said)

    def signal(self, token: int, signum: int) -> None:
        self._requests.put(("signal", token, signum))
        self._wake.ring()

    def exit_code(self, token: int) -> int:
        """That of a worker that has ended, as soon as the template tells."""
        self._bell.wait_for(lambda: token in self._exits or self.dead, 1.0)
        # The kernel kills who is left when the template dies.
        return self._exits.pop(token, -signal.SIGKILL if self.dead else _UNKNOWN)

    def close(self) -> None:
        """Has the template end, and waits for that."""
        self._requests.put(None)
        self._wake.ring()
        self._bell.wait_for(lambda: self.dead)

    def _run(self) -> None:
        block()
        talk: Conversation | None = None
        try:
            talk = Conversation(spawn_interpreter("exeunt._processes._template", self._plan.mask))
            self._begin(talk)
            while not talk.ended:
                self._hear(talk.listen(self._wake, None))
                if not self._send_all(talk):
                    self._finish(talk)
        except WorkerStartError as error:
            self._error = error
        except Exception as error:
            self._error = WorkerStartError(
                f"{self._name} could not be started: {error}", "bootstrap"
            )
        finally:
            if talk is not None:
                self._finish(talk)
            self.dead = True
            self._bell.ring()

    def _begin(self, talk: Conversation) -> None:
        plan = self._plan
        self._await(talk, "bootstrapped", plan.bootstrap_timeout, "bootstrap")
        talk.channel.end.send(b"M")
        talk.send("begin", plan.preparation, plan.payload)
        self._await(talk, "ready", plan.ready_timeout, "ready")
        self._ready = True
        self._bell.ring()

    def _await(self, talk: Conversation, what: str, timeout: float, stage: str) -> None:
        until = time.monotonic() + timeout
        while not talk.ended:
            for kind, *rest in talk.listen(self._wake, until):
                if kind == what:
                    return
                if kind == "failed":
                    text = f"the program could not be imported: {rest[0]}"
                    raise WorkerStartError(text, stage, rest[1], talk.said)
            if time.monotonic() >= until and not talk.ended:
                talk.kill()
                text = f"{self._name} was not {what} within {timeout:g} s"
                raise WorkerStartError(text, stage, "", talk.said)
        text = f"{self._name} {how(talk.exit_code)} before it was ready"
        raise WorkerStartError(text, stage, "", talk.said)

    def _hear(self, messages: list[tuple[Any, ...]]) -> None:
        for kind, token, detail in messages:
            (self._exits if kind == "exited" else self._answers)[token] = detail
        if messages:
            self._bell.ring()

    def _send_all(self, talk: Conversation) -> bool:
        """Passes the requests on; says whether there will be more."""
        while not talk.ended and not talk.channel.wants_to_write:
            try:
                request = self._requests.get_nowait()
            except Empty:
                return True
            if request is None:
                return False
            kind, token, detail, *descriptors = request
            socket.send_fds(talk.channel.end, [b"M"], descriptors)
            talk.send(kind, token, detail)
        return True

    def _finish(self, talk: Conversation) -> None:
        if not talk.ended:
            talk.channel.end.shutdown(socket.SHUT_WR)
            talk.resume()
        until = time.monotonic() + _FORKED_WITHIN
        while not talk.ended:
            self._hear(talk.listen(self._wake, until))
            if time.monotonic() >= until:
                talk.kill()


class _Remote:
    """A worker that the template has forked: a child of its, not of ours."""

    def __init__(self, keeper: _Keeper, token: int, pid: int) -> None:
        self._token = token
        self._keeper = keeper
        self.pid = pid
        self.pidfd = open_pidfd(pid)
        self._code: int | None = None

    def poll(self) -> int | None:
        if self._code is None and self._has_ended():
            self._code = self._keeper.exit_code(self._token)
        return self._code

    def _has_ended(self) -> bool:
        if self.pidfd < 0:
            return True
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        return bool(poll.poll(0))

    def signal(self, signum: int) -> None:
        self._keeper.signal(self._token, signum)

    def close(self) -> None:
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1
