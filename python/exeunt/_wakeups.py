"""What an event loop does on a signal, held back (P51).

Loops do not act in Python's signal handlers but on what the C handler writes to the descriptor of
`signal.set_wakeup_fd`: a byte for each signal. While a block is open in a coroutine that descriptor
is one of ours, which passes on at once what is not held back, and the rest at the end.
"""

import asyncio
import os
import signal
import socket
import threading

from ._held import Block, is_held

__all__ = ["hold_wakeups"]


def hold_wakeups(block: Block) -> None:
    """Holds back what the running loop would do on the held signals, until `block` is left.

    Does nothing where the loop hears no signals: in a thread, or where it has nothing to do on any.
    """
    global _tap
    if os.name != "posix" or threading.current_thread() is not threading.main_thread():
        return
    if _tap is None or _tap.process != os.getpid():
        tap = _Tap(asyncio.get_running_loop())
        if tap.real == -1:
            tap.end()
            return
        _tap = tap
    _tap.blocks += 1
    block.left = _tap.left


class _Tap:
    """Between the C handler and the loop. One for all blocks, which need not end in any order."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.process = os.getpid()
        self.blocks = 0
        self._loop = loop
        self._waiting = bytearray()
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self.real = signal.set_wakeup_fd(self._writer.fileno())
        loop.add_reader(self._reader.fileno(), self._hear)

    def left(self) -> None:
        global _tap
        self.blocks -= 1
        if not self.blocks:
            _tap = None
            self.end()

    def end(self) -> None:
        now = signal.set_wakeup_fd(self.real)
        if now != self._writer.fileno():
            # Somebody has put another there since, who is the one to be heard.
            signal.set_wakeup_fd(now)
        self._hear()
        if not self._loop.is_closed():
            self._loop.remove_reader(self._reader.fileno())
        self._reader.close()
        self._writer.close()
        self._pass_on(bytes(self._waiting))

    def _hear(self) -> None:
        try:
            heard = self._reader.recv(4096)
        except BlockingIOError:
            return
        self._waiting.extend(number for number in heard if is_held(number))
        self._pass_on(bytes(number for number in heard if not is_held(number)))

    def _pass_on(self, numbers: bytes) -> None:
        if numbers:
            try:
                os.write(self.real, numbers)
            except OSError:
                # Full, as it would have been for the C handler, or closed with its loop.
                return


_tap: _Tap | None = None
