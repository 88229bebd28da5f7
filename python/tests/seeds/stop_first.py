import threading
from exeunt.mongoose import Manager, MG_EV_HTTP_MSG

def handler(conn, ev, data):
    if ev == MG_EV_HTTP_MSG:
        conn.reply(200, b'{"ok":true}')

manager = Manager(handler)
manager.listen('http://0.0.0.0:8000', http=True)

# GOOD: Coordinated shutdown
stop_flag = threading.Event()

def run_server():
    while not stop_flag.is_set():
        manager.poll(100)

thread = threading.Thread(target=run_server, daemon=False)
thread.start()

# ... later ...
input()
stop_flag.set()  # Signal thread to stop
thread.join()    # Wait for thread to exit
manager.close()  # [x] Safe to close now
