import signal
from exeunt.mongoose import MG_EV_ACCEPT, MG_EV_CLOSE, MG_EV_HTTP_MSG, Manager

shutdown_requested = False
def signal_handler(sig, frame):
    global shutdown_requested
    shutdown_requested = True
signal.signal(signal.SIGINT, signal_handler)
signal.signal(signal.SIGTERM, signal_handler)

clients = []
def handler(conn, ev, data):
    if ev == MG_EV_ACCEPT:
        clients.append(conn)
    elif ev == MG_EV_CLOSE:
        if conn in clients:
            clients.remove(conn)
    elif ev == MG_EV_HTTP_MSG:
        conn.reply(200, b'{"ok":true}')

manager = Manager(handler)
manager.listen('http://0.0.0.0:8000', http=True)
try:
    while not shutdown_requested:
        manager.poll(100)
    # Close all active connections
    print(f"Closing {len(clients)} active connections...")
    for client in clients[:]:
        try:
            client.reply(503, b"Server shutting down")
            client.drain()
        except RuntimeError:
            pass # Already closed
    # Give time for draining
    for _ in range(10): # Up to 1 second
        manager.poll(100)
        if not clients:
            break
finally:
    manager.close()
