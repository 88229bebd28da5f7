"""Messages between the pool and its workers, over a socket pair.

A message is a tuple of plain values, pickled, behind its length. What the program's own objects are
pickled to travels in it as bytes, and is unpickled where it is used, so that none of them can break
the conversation.
"""

import os
import pickle
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

_HEAD = struct.Struct("!Q")
_CHUNK = 1 << 16

# What no forked child may keep: as long as anybody has an end, the other side does not see it end.
_ours: dict[int, "Closable"] = {}
# Forking waits until what is opened is in there.
_opening = threading.RLock()
_kept = threading.local()


class Closable(Protocol):
    """What can be closed."""

    def close(self) -> None: ...


class Descriptor:
    """A descriptor that is no file and no socket."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        return self._descriptor

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a socket; a child that is forked has neither."""
    with _opening:
        ends = socket.socketpair()
        _ours.update((id(end), end) for end in ends)
    return ends


def pipe() -> tuple[Descriptor, Descriptor]:
    """Where to read, and where to write."""
    with _opening:
        read, write = map(Descriptor, os.pipe())
        _ours.update((id(end), end) for end in (read, write))
    return read, write


def adopt(end: socket.socket) -> socket.socket:
    """Takes an end that was passed on to this process."""
    end.set_inheritable(False)
    with _opening:
        _ours[id(end)] = end
    return end


def own(descriptor: int) -> Descriptor:
    """Takes a descriptor that was passed on to this process."""
    os.set_inheritable(descriptor, False)
    owned = Descriptor(descriptor)
    with _opening:
        _ours[id(owned)] = owned
    return owned


def close(end: Closable) -> None:
    """Closes what is one of the above."""
    _ours.pop(id(end), None)
    end.close()


@contextmanager
def keeping(*ends: Closable) -> Iterator[None]:
    """A child that this thread forks has these."""
    _kept.ends = ends
    try:
        yield
    finally:
        _kept.ends = ()


def _after_fork() -> None:
    global _opening
    _opening = threading.RLock()
    kept = getattr(_kept, "ends", ())
    for end in list(_ours.values()):
        if end not in kept:
            close(end)
    # The fork's own: what that forks in its turn has them not.
    _kept.ends = ()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=lambda: _opening.acquire(),
        after_in_parent=lambda: _opening.release(),
        after_in_child=_after_fork,
    )


def pack(*message: Any) -> bytes:
    """A message as it goes over the wire."""
    body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return _HEAD.pack(len(body)) + body


def send(end: socket.socket, *message: Any) -> None:
    """Sends a message, and waits until it is sent."""
    end.sendall(pack(*message))


def receive(end: socket.socket) -> tuple[Any, ...]:
    """Waits for a message. Raises EOFError when there will be none."""
    (size,) = _HEAD.unpack(_exactly(end, _HEAD.size))
    message: tuple[Any, ...] = pickle.loads(_exactly(end, size))
    return message


def _exactly(end: socket.socket, size: int) -> bytes:
    read = bytearray()
    while len(read) < size:
        part = end.recv(min(size - len(read), 1 << 20))
        if not part:
            raise EOFError
        read += part
    return bytes(read)


class Channel:
    """The pool's end of a worker's socket. Never waits."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self.end = end
        self.ended = False
        self._incoming = bytearray()
        self._outgoing: list[memoryview] = []

    def fileno(self) -> int:
        return self.end.fileno()

    @property
    def wants_to_write(self) -> bool:
        return bool(self._outgoing) and not self.ended

    def send(self, *message: Any) -> None:
        """Sends as much as can be sent now; `write` sends the rest."""
        self._outgoing.append(memoryview(pack(*message)))
        self.write()

    def write(self) -> None:
        while self._outgoing:
            try:
                sent = self.end.send(self._outgoing[0])
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                # Whoever has ended is seen to have by reading.
                self._outgoing.clear()
                return
            if sent < len(self._outgoing[0]):
                self._outgoing[0] = self._outgoing[0][sent:]
            else:
                del self._outgoing[0]

    def read(self) -> Iterator[tuple[Any, ...]]:
        """The messages that have come whole; sets `ended` at the end of them all."""
        while not self.ended:
            try:
                part = self.end.recv(_CHUNK)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                part = b""
            if part:
                self._incoming += part
            else:
                self.ended = True
        while len(self._incoming) >= _HEAD.size:
            (size,) = _HEAD.unpack_from(self._incoming)
            end = _HEAD.size + size
            if len(self._incoming) < end:
                return
            message: tuple[Any, ...] = pickle.loads(bytes(self._incoming[_HEAD.size : end]))
            del self._incoming[:end]
            yield message

    def close(self) -> None:
        close(self.end)
