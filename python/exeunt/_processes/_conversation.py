"""The pool's side of one worker process: what it says, what it is told, and that it ends."""

import os
import select
import time
from contextlib import suppress
from typing import Any

from . import _wire
from ._launch import CONTINUE, KILL, Launched
from ._wire import Channel

_TAIL = 4096
_READABLE = select.POLLIN | select.POLLHUP | select.POLLERR
_REAPED_WITHIN = 2.0
"""Seconds that the kernel has for ending who was killed (a disk may hold it up)."""


class Wake:
    """Ends a wait in `Conversation.listen`. `ring` may be called anywhere, also in a signal
    handler.
    """

    def __init__(self) -> None:
        self._ear, self._bell = _wire.pair()
        self._ear.setblocking(False)
        self._bell.setblocking(False)

    def fileno(self) -> int:
        return self._ear.fileno()

    def ring(self) -> None:
        # It is full, and so has rung; or nobody listens any more.
        with suppress(OSError):
            self._bell.send(b"!")

    def quiet(self) -> None:
        with suppress(OSError):
            while self._ear.recv(4096):
                pass

    def wait(self, timeout: float) -> None:
        """Waits until it rings, for `timeout` seconds at most."""
        poll = select.poll()
        poll.register(self._ear, _READABLE)
        poll.poll(max(0.0, timeout) * 1000)
        self.quiet()

    def __del__(self) -> None:
        # Not before nobody can ring any more: the descriptor would be another's by then.
        _wire.close(self._ear)
        _wire.close(self._bell)


class Conversation:
    """A worker process and its channel, until it has ended. One thread uses it."""

    def __init__(self, launched: Launched) -> None:
        self.process = launched.process
        self.pid = launched.process.pid
        self.channel = Channel(launched.end)
        self.began = time.monotonic()
        self.exit_code: int | None = None
        self.ended = False
        self.left_behind = False
        self.terminated = False
        self.killed = False
        self._killed_at = 0.0
        self._silent_since: float | None = None
        self._stderr: _wire.Descriptor | None = launched.stderr
        self._tail = b""

    @property
    def said(self) -> str:
        """The end of what it has said on stderr until it was ready."""
        return self._tail.decode(errors="replace")

    def send(self, *message: Any) -> None:
        self.channel.send(*message)

    def terminate(self) -> None:
        """Asks it to leave what it does; a stopped one hears it, too."""
        if not self.terminated:
            self.terminated = True
            self.send("terminate")
            self.resume()

    def resume(self) -> None:
        if CONTINUE is not None:
            self.process.signal(CONTINUE)

    def kill(self) -> None:
        if not self.killed:
            self.killed = True
            self._killed_at = time.monotonic()
            self.process.signal(KILL)

    def listen(self, wake: Wake, until: float | None) -> list[tuple[Any, ...]]:
        """Waits for something to happen, until the time `until`; gives what the worker says."""
        if self.killed:
            late = self._killed_at + _REAPED_WITHIN
            until = late if until is None else min(until, late)
        poll = select.poll()
        if not self.channel.ended:
            wanted = _READABLE | (select.POLLOUT if self.channel.wants_to_write else 0)
            poll.register(self.channel, wanted)
        else:
            # Its end of the channel is gone, and so is it in a moment.
            soon = time.monotonic() + 0.01
            until = soon if until is None else min(until, soon)
        if self.process.pidfd >= 0:
            poll.register(self.process.pidfd, select.POLLIN)
        if self._stderr is not None:
            poll.register(self._stderr, _READABLE)
        poll.register(wake, _READABLE)
        timeout = None if until is None else max(0.0, until - time.monotonic()) * 1000
        ready = dict(poll.poll(timeout))
        if wake.fileno() in ready:
            wake.quiet()
        if self._stderr is not None and self._stderr.fileno() in ready:
            self._hear(self._stderr)
        self.channel.write()
        over = self._is_over(self.process.pidfd in ready)
        messages = list(self.channel.read())
        if over:
            self._end()
        return messages

    def _is_over(self, ended: bool) -> bool:
        if ended or self.channel.ended:
            self.exit_code = self.process.poll()
            if self.exit_code is not None:
                return True
            if self.channel.ended and not self.killed:
                # It has closed the channel and lives on: nobody can talk to it any more.
                self._silent_since = self._silent_since or time.monotonic()
                if time.monotonic() - self._silent_since > _REAPED_WITHIN:
                    self.kill()
        if self.killed and time.monotonic() >= self._killed_at + _REAPED_WITHIN:
            self.exit_code = self.process.poll()
            self.left_behind = self.exit_code is None
            return True
        return False

    def _hear(self, stderr: _wire.Descriptor) -> None:
        said = os.read(stderr.fileno(), _TAIL)
        if not said:
            self._deafen()
            return
        self._tail = (self._tail + said)[-_TAIL:]
        # Passed on if that takes no waiting: what is no more than PIPE_BUF fits into a pipe that
        # can be written to (pipe(7)).
        out = select.poll()
        with suppress(OSError):
            out.register(2, select.POLLOUT)
            if out.poll(0):
                os.write(2, said)

    def _deafen(self) -> None:
        if self._stderr is not None:
            _wire.close(self._stderr)
            self._stderr = None

    def _end(self) -> None:
        while self._stderr is not None:
            poll = select.poll()
            poll.register(self._stderr, _READABLE)
            if poll.poll(0):
                self._hear(self._stderr)
            else:
                self._deafen()
        self.ended = True
        self.channel.close()
        if not self.left_behind:
            self.process.close()
