from contextlib import contextmanager
from exeunt.mongoose import Manager, MG_EV_HTTP_MSG

@contextmanager
def http_server(port, handler):
    """Context manager for pymongoose HTTP server."""
    manager = Manager(handler)
    manager.listen(f'http://0.0.0.0:{port}', http=True)

    try:
        yield manager
    finally:
        manager.close()

# Usage
def handler(conn, ev, data):
    if ev == MG_EV_HTTP_MSG:
        conn.reply(200, b'{"ok":true}')

try:
    with http_server(8000, handler) as manager:
        print("Server running...")
        while True:
            manager.poll(100)
except KeyboardInterrupt:
    print("Shutting down...")
# manager.close() called automatically
