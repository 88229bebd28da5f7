"""A server in a thread of its own, beside a program that does something else.

    python background.py [URL]

Press Enter to stop it, or Ctrl-C.
"""

import sys
from contextlib import suppress

from exeunt.mongoose import Connection, Event, Manager


def handler(conn: Connection, ev: int, data: object) -> None:
    if ev == Event.HTTP_MSG:
        conn.reply(200, "hello\n")


def main(url: str) -> None:
    # At the end of the block it is told, drains, and is closed when its thread has ended.
    with Manager(handler) as manager:
        listener = manager.listen(url)
        manager.start()
        with suppress(EOFError, KeyboardInterrupt):
            if listener.local_addr:
                print(f"serving on port {listener.local_addr[1]}", flush=True)
            input("press Enter to stop\n")
    print(manager.drain_report)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000")
