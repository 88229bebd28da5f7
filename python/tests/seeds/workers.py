import signal
from exeunt.mongoose import MG_EV_HTTP_MSG, MG_EV_WAKEUP, Manager

shutdown_requested = False
def handler(conn, ev, data):
    if ev == MG_EV_HTTP_MSG:
        work_queue.put(conn.id)
    elif ev == MG_EV_WAKEUP:
        conn.reply(200, data)

def process_work(work):
    manager.wakeup(work, b'{"ok":true}')

manager = Manager(handler, enable_wakeup=True)
manager.listen('http://0.0.0.0:8000', http=True)

import threading
import queue
work_queue = queue.Queue()
worker_threads = []
def worker():
    while True:
        work = work_queue.get()
        if work is None: # Poison pill
            break
        process_work(work)
# Start workers
for _ in range(4):
    t = threading.Thread(target=worker, daemon=True)
    t.start()
    worker_threads.append(t)
def signal_handler(sig, frame):
    global shutdown_requested
    shutdown_requested = True
    # Stop workers with poison pills
    for _ in worker_threads:
        work_queue.put(None)
signal.signal(signal.SIGINT, signal_handler)
signal.signal(signal.SIGTERM, signal_handler)
try:
    while not shutdown_requested:
        manager.poll(100)
    # Wait for workers to finish
    print("Waiting for workers...")
    for thread in worker_threads:
        thread.join(timeout=5.0)
finally:
    manager.close()
