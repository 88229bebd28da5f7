import threading
from exeunt.mongoose import Manager, MG_EV_HTTP_MSG

def handler(conn, ev, data):
    if ev == MG_EV_HTTP_MSG:
        conn.reply(200, b'{"ok":true}')

class Server:
    def __init__(self, port=8000):
        self.port = port
        self.manager = Manager(handler)
        self.stop_flag = threading.Event()
        self.thread = None

    def start(self):
        """Start server in background thread."""
        self.manager.listen(f'http://0.0.0.0:{self.port}', http=True)
        self.thread = threading.Thread(target=self._run, daemon=False)
        self.thread.start()
        print(f"Server started on port {self.port}")

    def _run(self):
        """Background polling loop."""
        while not self.stop_flag.is_set():
            self.manager.poll(100)

    def stop(self):
        """Gracefully stop the server."""
        print("Stopping server...")
        self.stop_flag.set()

        # Wait for polling thread to exit
        if self.thread:
            self.thread.join(timeout=2.0)

        # Clean up Manager
        self.manager.close()
        print("Server stopped")

# Usage
server = Server(8000)
try:
    server.start()
    input("Press Enter to stop...\n")
except KeyboardInterrupt:
    print("\nCtrl+C pressed")
finally:
    server.stop()
