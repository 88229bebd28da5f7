import signal
from exeunt.mongoose import MG_EV_HTTP_MSG, Manager

def handler(conn, ev, data):
    if ev == MG_EV_HTTP_MSG:
        conn.reply(200, b"Goodbye!")
        # Good: Graceful close
        conn.drain() # Flushes send buffer before closing
        # Bad: Immediate close (may lose data)
        # conn.close() # DON'T use this

shutdown_requested = False
def signal_handler(sig, frame):
    global shutdown_requested
    shutdown_requested = True
signal.signal(signal.SIGINT, signal_handler)
signal.signal(signal.SIGTERM, signal_handler)

manager = Manager(handler)
manager.listen('http://0.0.0.0:8000', http=True)
while not shutdown_requested:
    manager.poll(100)
manager.close()
