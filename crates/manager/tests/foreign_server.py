"""A server that Python's library makes: in its ways to end a body, one for each path."""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        if self.path == "/length":
            self.say({"Content-Length": "5"}, b"hello")
        elif self.path == "/chunks":
            self.say({"Transfer-Encoding": "chunked"}, b"3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: x\r\n\r\n")
        elif self.path == "/until-close":
            self.say({}, b"hello")
            self.close_connection = True
        elif self.path == "/nothing":
            self.send_response(204)
            self.end_headers()
        elif self.path == "/truncated":
            self.say({"Content-Length": "6"}, b"hello")
            self.close_connection = True
        else:
            self.send_error(404)

    do_HEAD = do_GET

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = f"{len(body)} {sum(body)}".encode()
        self.say({"Content-Length": str(len(answer))}, answer)

    def say(self, headers, body):
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class Old(Handler):
    protocol_version = "HTTP/1.0"


class New(Handler):
    protocol_version = "HTTP/1.1"


server = ThreadingHTTPServer(("127.0.0.1", 0), New if sys.argv[1] == "1.1" else Old)
server.daemon_threads = True
print(server.server_address[1], flush=True)
server.serve_forever()
