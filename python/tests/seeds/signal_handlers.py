import signal
from exeunt.mongoose import Manager
from exeunt.mongoose import MG_EV_HTTP_MSG

def handler(conn, ev, data):
    if ev == MG_EV_HTTP_MSG:
        conn.reply(200, b'{"ok":true}')

shutdown_requested = False
def signal_handler(sig, frame):
    """Handle shutdown signals."""
    global shutdown_requested
    shutdown_requested = True
def main():
    global shutdown_requested
    # Register signal handlers
    signal.signal(signal.SIGINT, signal_handler) # Ctrl+C
    signal.signal(signal.SIGTERM, signal_handler) # kill command
    # Create manager and listen
    manager = Manager(handler)
    manager.listen('http://0.0.0.0:8000', http=True)
    print("Server running on http://0.0.0.0:8000")
    print("Press Ctrl+C to stop")
    try:
        while not shutdown_requested:
            manager.poll(100)
        print("Shutting down...")
    finally:
        manager.close()
        print("Server stopped cleanly")
if __name__ == "__main__":
    main()
