"""A cymongoose server that stops on a flag, as its guide to graceful shutdown has it."""

import signal
import sys

from cymongoose import MG_EV_HTTP_MSG, Manager

stopping = False


def stop(number, frame):
    global stopping
    stopping = True


def handler(connection, event, data):
    if event == MG_EV_HTTP_MSG:
        connection.reply(200, b"hello\n")


signal.signal(signal.SIGINT, stop)
signal.signal(signal.SIGTERM, stop)
manager = Manager(handler)
manager.listen(f"http://127.0.0.1:{sys.argv[1]}", http=True)
try:
    while not stopping:
        manager.poll(100)
finally:
    manager.close()
