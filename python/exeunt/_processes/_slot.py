"""A worker's place in the pool: the thread that starts it, feeds it, and replaces it."""

import logging
import threading
import time
from functools import partial
from pickle import loads
from traceback import format_exc
from typing import TYPE_CHECKING, Any

from ._conversation import Conversation, Wake
from ._errors import (
    CallTimedOut,
    RemoteError,
    RemoteTraceback,
    WorkerDied,
    WorkerStartError,
    how,
)
from ._guard import block
from ._report import WorkerEnd

if TYPE_CHECKING:
    from ._core import Call, Core
    from ._updates import Update

_log = logging.getLogger("exeunt")
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 30.0
_SETTLED = 10.0
"""Seconds after which a worker's death is no more one in a row."""
_RELAY = 0.5
"""Seconds in which a stop of the pool makes a worker's own SIGTERM one and the same wish."""


class Slot:
    """One of the pool's places for a worker. Others read it; only its thread writes."""

    def __init__(self, core: "Core", index: int) -> None:
        self.name = f"{core.name}-{index}"
        self.wake = Wake()
        self.call: Call | None = None
        self.ready = False
        self.ended = False
        self.error: WorkerStartError | WorkerDied | None = None
        self.end: WorkerEnd | None = None
        self.pid = 0
        self.finished = 0
        self.replaced = 0
        self.given_up = False
        self.thread = threading.Thread(target=self._run, args=(core,), name=self.name, daemon=True)

    def _run(self, core: "Core") -> None:
        # What is started here begins with these blocked, until its handlers are there.
        block()
        try:
            self._keep_one(core)
        except BaseException:
            core.log(_log.error, "%s: failed:\n%s", self.name, format_exc())
        finally:
            self.ready = False
            self.ended = True
            core.slot_ended(self)

    def _keep_one(self, core: "Core") -> None:
        in_a_row = 0
        while not core.stopping:
            began = time.monotonic()
            try:
                worker = _Occupant(self, core)
                retired = worker.live()
            except WorkerStartError as error:
                self.error = error
                retired = False
            self.ready = False
            core.poke()
            if core.stopping or (not core.started and self.error):
                return
            in_a_row = 0 if retired or time.monotonic() - began >= _SETTLED else in_a_row + 1
            if in_a_row > core.max_restarts:
                self.given_up = True
                text = "%s: given up after %d deaths in a row: %s"
                core.log(_log.error, text, self.name, in_a_row, self.error)
                return
            if in_a_row:
                core.log(_log.warning, "%s; it is replaced", self.error)
                self._pause(core, min(_FIRST_PAUSE * 2 ** (in_a_row - 1), _LONGEST_PAUSE))
            self.replaced += 1

    def _pause(self, core: "Core", seconds: float) -> None:
        until = time.monotonic() + seconds
        while not core.stopping and (left := until - time.monotonic()) > 0:
            self.wake.wait(left)


class _Occupant:
    """A worker in its slot, from its start to its end."""

    def __init__(self, slot: Slot, core: "Core") -> None:
        self._slot = slot
        self._core = core
        self._limit: float | None = None
        self._retire_at: float | None = None
        self._told = False
        self._late = False
        self._resumed = False
        self._update: Update | None = None
        self._applied = 0
        self._reason = ""
        try:
            self._talk = Conversation(core.launcher.launch(slot.name))
        except WorkerStartError:
            raise
        except Exception as error:
            raise WorkerStartError(
                f"{slot.name} cannot be started: {error}", "bootstrap"
            ) from error

    def live(self) -> bool:
        """Starts it and serves it to its end; says whether that was as it should be.

        Raises WorkerStartError if it did not become ready.
        """
        slot, core, talk = self._slot, self._core, self._talk
        slot.pid = talk.pid
        try:
            self._await("bootstrapped", core.plan.bootstrap_timeout, "bootstrap")
            talk.send("begin", core.plan.preparation, core.plan.payload)
            self._await("ready", core.plan.ready_timeout, "ready")
            self._catch_up()
            slot.error = None
            slot.ready = True
            core.slot_ready()
            self._serve()
        finally:
            if not talk.ended:  # by an error of ours
                talk.kill()
                while not talk.ended:
                    talk.listen(slot.wake, None)
            slot.ready = False
            slot.end = self._how_it_ended()
            self._fail_call()
        return self._told and not talk.killed

    # To become ready.

    def _await(self, what: str, timeout: float, stage: str) -> None:
        self._limit = time.monotonic() + timeout
        self._reason = f"{self._slot.name} was not {what} within {timeout:g} s"
        arrived = False
        while not arrived and not self._talk.ended:
            for kind, *rest in self._listen():
                if kind == what:
                    arrived = True
                elif kind == "failed":
                    raise self._failed(stage, rest[0], rest[1])
                elif kind == "noted":
                    self._noted()
        if not arrived:
            raise self._failed(stage)
        self._limit = None
        self._reason = ""

    def _failed(self, stage: str, error: str = "", traceback: str = "") -> WorkerStartError:
        talk, name = self._talk, self._slot.name
        while not talk.ended:
            # What has failed leaves by itself.
            self._limit = self._limit or time.monotonic() + self._core.plan.ready_timeout
            self._listen()
        if error:
            message = f"{name} did not become ready: {error}"
        elif self._late:
            message = self._reason
        else:
            message = f"{name} {how(talk.exit_code)} before it was ready"
        return WorkerStartError(message, stage, traceback, talk.said)

    def _catch_up(self) -> None:
        """Does the updates that others have done before."""
        self._applied = self._core.updates.begin(self._slot)
        self._limit = time.monotonic() + self._core.plan.ready_timeout
        self._reason = f"{self._slot.name} did not do its updates in time"
        while (update := self._core.updates.next(self._slot, self._applied)) is not None:
            self._send_update(update)
            while self._update is not None:
                for message in self._listen():
                    error = self._answered(message)
                    if error is not None:
                        self._talk.terminate()
                        raise self._failed("ready", f"its update failed: {error}")
                if self._talk.ended:
                    raise self._failed("ready")
        self._limit = None
        self._reason = ""

    # To serve.

    def _serve(self) -> None:
        talk = self._talk
        while not talk.ended:
            if self._slot.call is None and self._update is None and not self._told:
                self._next()
            for message in self._listen():
                if message[0] == "noted":
                    self._noted()
                else:
                    self._answered(message)

    def _noted(self) -> None:
        """The worker alone was sent SIGTERM, unless the pool is told to stop, too."""
        self._retire_at = self._retire_at or time.monotonic() + _RELAY

    def _next(self) -> None:
        core, slot = self._core, self._slot
        update = core.updates.next(slot, self._applied)
        if update is not None:
            self._send_update(update)
            return
        retiring = self._retire_at is not None and time.monotonic() >= self._retire_at
        call = None if retiring and not core.stopping else core.take(slot)
        if call is not None:
            slot.call = call
            call.future._begun = True
            call.future._withdraw = None
            call.began = time.monotonic()
            if core.call_limit is not None:
                self._limit = call.began + core.call_limit
                self._reason = f"{call.name} took longer than {core.call_limit:g} s"
            self._talk.send("call", call.number, call.payload)
        elif core.stopping or retiring:
            self._told = True
            if retiring:
                self._limit = time.monotonic() + core.stop_timeout
                self._reason = f"{slot.name} did not end within {core.stop_timeout:g} s"
            self._talk.send("stop")

    def _send_update(self, update: "Update") -> None:
        self._update = update
        self._talk.send("call", -update.number, update.payload)

    def _answered(self, message: tuple[Any, ...]) -> BaseException | None:
        kind, *rest = message
        if kind not in ("returned", "raised"):
            if kind == "stopped" and rest[0] is not None:
                text = "%s: its stop failed: %s\n%s"
                self._core.log(_log.error, text, self._slot.name, rest[0], rest[1])
            return None
        number, *answer = rest
        error = raised(*answer) if kind == "raised" else None
        if number < 0:
            update, self._update = self._update, None
            if update is not None:
                self._applied = update.number
                update.done(self._slot, error)
            return error
        call, self._slot.call = self._slot.call, None
        self._limit = None
        if call is not None:
            self._slot.finished += 1
            self._core.cuts.pop(call.number, None)  # It has still made it.
            call.over()
            self._settle(call, answer, error)
        return None

    def _settle(self, call: "Call", answer: list[Any], error: BaseException | None) -> None:
        value = None
        if error is None:
            try:
                value = loads(answer[0])
            except Exception as broken:
                error = broken
            except BaseException as broken:
                # It is for nobody here: neither does it end this thread, nor him who waits.
                text = f"what {call.name} has returned cannot be had: {type(broken).__name__}"
                error = RemoteError(text, type(broken).__name__, format_exc())
        future = call.future
        if error is not None:
            self._core.settler.settle(future, partial(future.set_exception, error))
        else:
            self._core.settler.settle(future, partial(future.set_result, value))

    # To end.

    def _listen(self) -> list[tuple[Any, ...]]:
        """Listens until something happens, or a time is over."""
        core, slot, talk = self._core, self._slot, self._talk
        if core.stopping and not self._resumed:
            # One that somebody has stopped hears of nothing.
            self._resumed = True
            talk.resume()
        times: list[float | None] = []
        if not talk.killed:
            times = [self._limit, core.kill_at if talk.terminated else core.terminate_at]
            if slot.call is None and self._update is None and not self._told and not core.stopping:
                times.append(self._retire_at)
        messages = talk.listen(slot.wake, min((t for t in times if t is not None), default=None))
        now = time.monotonic()
        if talk.ended or talk.killed:
            return messages
        if core.kill_at is not None and now >= core.kill_at:
            self._cut()
            talk.kill()
        elif core.terminate_at is not None and now >= core.terminate_at:
            if not talk.terminated:
                self._cut()
                talk.terminate()
        elif self._limit is not None and now >= self._limit:
            self._late = True
            talk.kill()
        return messages

    def _cut(self) -> None:
        call, slot = self._slot.call, self._slot
        if call is not None:
            cut = call.running(slot.name, f"in process {slot.pid}")
            if self._core.cuts.setdefault(call.number, cut) is cut:
                text = "%s: %s was cut after %.1f s"
                self._core.log(_log.warning, text, slot.name, cut.name, cut.age)

    def _fail_call(self) -> None:
        call, self._slot.call = self._slot.call, None
        if call is None:
            return
        talk = self._talk
        if self._late:
            error: WorkerDied = CallTimedOut(
                f"{self._reason}; {self._slot.name} was killed for it", talk.exit_code, call.name
            )
        else:
            error = WorkerDied(
                f"{self._who()} {how(talk.exit_code)} while it did {call.name}",
                talk.exit_code,
                call.name,
            )
        self._slot.error = error
        call.over(cut=call.number in self._core.cuts)
        future = call.future
        self._core.settler.settle(future, partial(future.set_exception, error))

    def _who(self) -> str:
        return f"{self._slot.name} (pid {self._talk.pid})"

    def _how_it_ended(self) -> WorkerEnd:
        talk = self._talk
        if talk.left_behind:
            ended = "left"
        elif talk.killed:
            ended = "killed"
        elif talk.terminated:
            ended = "terminated"
        elif self._told and talk.exit_code is not None and talk.exit_code >= 0:
            ended = "stopped"
        else:
            ended = "died"
            if self._slot.error is None:
                text = f"{self._who()} {how(talk.exit_code)}"
                self._slot.error = WorkerDied(text, talk.exit_code)
        return WorkerEnd(self._slot.name, talk.pid, ended, talk.exit_code)


def raised(payload: bytes | None, kind: str, text: str, traceback: str) -> BaseException:
    """What a call has raised, as this process has it."""
    error: BaseException | None = None
    if payload is not None:
        try:
            error = loads(payload)
        except BaseException:
            error = None
    if not isinstance(error, Exception):
        error = RemoteError(text, kind, traceback)
    error.__cause__ = RemoteTraceback(traceback)
    return error
