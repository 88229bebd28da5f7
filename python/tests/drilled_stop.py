"""A server in a thread of its own, stopped by KeyboardInterrupt."""

import sys
import threading

from exeunt.mongoose import MG_EV_HTTP_MSG, Connection, Manager


def handler(conn: Connection, ev: int, data: object) -> None:
    if ev == MG_EV_HTTP_MSG:
        conn.reply(200, b'{"ok":true}')


manager = Manager(handler)
manager.listen(sys.argv[1])
manager.start()
try:
    threading.Event().wait()
except KeyboardInterrupt:
    manager.stop()
