import threading
from exeunt.mongoose import Manager, MG_EV_HTTP_MSG

def handler(conn, ev, data):
    if ev == MG_EV_HTTP_MSG:
        conn.reply(200, b'{"ok":true}')

manager = Manager(handler)
manager.listen('http://0.0.0.0:8000', http=True)

# BAD: Race condition
def run_server():
    while True:
        manager.poll(100)

thread = threading.Thread(target=run_server, daemon=True)
thread.start()

# ... later ...
input()
manager.close()  # [X] Thread might be in poll()! Segfault risk!
