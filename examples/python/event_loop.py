"""An event loop with one handler that stops without losing anything.

    python event_loop.py [URL]

Try it with `curl localhost:8000` and `curl localhost:8000/slow`; then stop it by Ctrl-C or SIGTERM,
while the slow one is on its way.
"""

import sys
import threading
import time

from exeunt.mongoose import Connection, Event, HttpMessage, Manager


def handler(conn: Connection, ev: int, data: object) -> None:
    """Called by the thread that polls, with whatever happens; it must not wait."""
    if ev == Event.HTTP_MSG and isinstance(data, HttpMessage):
        if data.uri == "/":
            conn.reply(200, "hello\n")
        elif data.uri == "/slow":
            threading.Thread(target=work, args=(conn.id,)).start()
        else:
            conn.reply(404, "there is nothing here\n")
    elif ev == Event.WAKEUP and isinstance(data, bytes):
        conn.reply(200, data)


def work(client: int) -> None:
    """What takes long has a thread of its own, and comes back by a wakeup."""
    time.sleep(1)
    manager.wakeup(client, b"slow, but not lost\n")


manager = Manager(handler, enable_wakeup=True)

if __name__ == "__main__":
    listener = manager.listen(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000")
    if listener.local_addr:
        print(f"serving on port {listener.local_addr[1]}", flush=True)
    manager.run(grace=25)
    print(manager.report)
    sys.exit(manager.report.exit_status if manager.report else 1)
