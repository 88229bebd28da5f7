"""A loop of the program's own, with its own way of stopping.

    python own_loop.py [URL]

SIGINT, SIGTERM and SIGUSR1 stop it.
"""

import signal
import sys
from types import FrameType

from exeunt.mongoose import Connection, Event, Manager

stopping = False


def stop(number: int, frame: FrameType | None) -> None:
    """A signal ends the wait of `poll`, so that the flag is seen at once."""
    global stopping
    stopping = True


def handler(conn: Connection, ev: int, data: object) -> None:
    if ev == Event.HTTP_MSG:
        conn.reply(200, "hello\n")


def main(url: str) -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, stop)
    with Manager(handler) as manager:
        listener = manager.listen(url)
        if listener.local_addr:
            print(f"serving on port {listener.local_addr[1]}", flush=True)
        while not stopping:
            manager.poll(-1)
        # Leaving the block would give what is in flight 2 s; this gives it more, and tells.
        report = manager.drain(10)
        print(report)
    return 0 if report.is_clean else 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"))
