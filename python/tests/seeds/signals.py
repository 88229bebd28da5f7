import signal
from exeunt.mongoose import Manager, MG_EV_HTTP_MSG

shutdown_requested = False

def signal_handler(signum, frame):
    global shutdown_requested
    shutdown_requested = True
    signame = "SIGINT" if signum == signal.SIGINT else "SIGTERM"
    print(f"\n{signame} received, shutting down gracefully...")

def handler(conn, ev, data):
    if ev == MG_EV_HTTP_MSG:
        conn.reply(200, b'{"ok":true}')

def main():
    global shutdown_requested

    # Register signal handlers
    signal.signal(signal.SIGINT, signal_handler)
    signal.signal(signal.SIGTERM, signal_handler)

    manager = Manager(handler)
    manager.listen('http://0.0.0.0:8000', http=True)
    print("Server started. Press Ctrl+C to stop.")

    try:
        while not shutdown_requested:
            manager.poll(100)
    finally:
        print("Cleaning up...")
        manager.close()
        print("Server stopped cleanly")

if __name__ == "__main__":
    main()
