import signal
from exeunt.mongoose import MG_EV_HTTP_MSG, Manager

shutdown_requested = False
def signal_handler(sig, frame):
    global shutdown_requested
    shutdown_requested = True
signal.signal(signal.SIGINT, signal_handler)
signal.signal(signal.SIGTERM, signal_handler)

fired = 0
def callback():
    global fired
    fired += 1
    if fired == 3:
        print("three times")
        # Option 1: Cancel explicitly (thread-safe, can be called from any thread)
        timer.cancel()

def handler(conn, ev, data):
    if ev == MG_EV_HTTP_MSG:
        conn.reply(200, b'{"ok":true}')

manager = Manager(handler)
manager.listen('http://0.0.0.0:8000', http=True)
timer = manager.timer_add(10, callback, repeat=True)
other = manager.timer_add(1000, callback, repeat=True)
while not shutdown_requested:
    manager.poll(100)
print(f"fired {fired >= 3}")
# Option 2: Let manager.close() free all remaining timers
manager.close()
