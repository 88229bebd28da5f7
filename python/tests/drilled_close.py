"""The smallest loop: it ends by KeyboardInterrupt, and `close` alone drains it."""

import sys

from exeunt.mongoose import MG_EV_HTTP_MSG, Connection, Manager


def handler(conn: Connection, ev: int, data: object) -> None:
    if ev == MG_EV_HTTP_MSG:
        conn.reply(200, b'{"ok":true}')


manager = Manager(handler)
manager.listen(sys.argv[1])
try:
    while True:
        manager.poll(100)
except KeyboardInterrupt:
    pass
finally:
    manager.close()
