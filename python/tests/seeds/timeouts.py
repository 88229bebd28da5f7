import signal
from exeunt.mongoose import MG_EV_CLOSE, MG_EV_HTTP_MSG, Manager

shutdown_requested = False
def signal_handler(sig, frame):
    global shutdown_requested
    shutdown_requested = True
signal.signal(signal.SIGINT, signal_handler)
signal.signal(signal.SIGTERM, signal_handler)

connections = {}
def process_request(conn, data):
    connections[conn.id] = conn

import time
connections_with_timeout = {} # {conn_id: start_time}
def handler(conn, ev, data):
    if ev == MG_EV_HTTP_MSG:
        connections_with_timeout[conn.id] = time.time()
        # Start processing
        process_request(conn, data)
    elif ev == MG_EV_CLOSE:
        if conn.id in connections_with_timeout:
            del connections_with_timeout[conn.id]
# Check for timeouts periodically
def check_timeouts():
    now = time.time()
    for conn_id, start_time in list(connections_with_timeout.items()):
        if now - start_time > 0.03: # 30 second timeout
            conn = connections.get(conn_id)
            if conn:
                conn.reply(408, b"Request Timeout")
                conn.drain()

manager = Manager(handler)
manager.listen('http://0.0.0.0:8000', http=True)
manager.timer_add(10, check_timeouts, repeat=True)
while not shutdown_requested:
    manager.poll(100)
manager.close()
