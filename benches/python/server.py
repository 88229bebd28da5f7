"""The handler under measurement, by the module that the argument names; says where it listens."""

import importlib
import sys

mongoose = importlib.import_module(sys.argv[1])
HTTP_MSG = mongoose.MG_EV_HTTP_MSG


def handler(conn, ev, data):
    if ev == HTTP_MSG:
        conn.reply(200, b'{"ok":true}')


manager = mongoose.Manager(handler)
listener = manager.listen("http://127.0.0.1:0")
print("127.0.0.1:%d" % listener.local_addr[1], flush=True)
while True:
    manager.poll(100)
