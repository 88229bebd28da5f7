"""Python's own HTTP client and sockets against a manager: `foreign.py PORT`."""

import http.client
import socket
import sys
import threading

PORT = int(sys.argv[1])


def connection() -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)


def ask(conn: http.client.HTTPConnection, method: str, path: str, **more: object) -> tuple[int, bytes]:
    conn.request(method, path, **more)
    response = conn.getresponse()
    return response.status, response.read()


def kept_connections() -> None:
    conn = connection()
    for _ in range(20):
        assert ask(conn, "GET", "/hello") == (200, b"hello")
        first = conn.sock
        assert ask(conn, "HEAD", "/hello") == (200, b"")
        assert ask(conn, "GET", "/chunks") == (200, b"onetwothree")
        assert ask(conn, "GET", "/nothing") == (204, b"")
        assert ask(conn, "GET", "/missing") == (404, b"not here")
        assert conn.sock is first, "the connection was not kept"


def bodies() -> None:
    conn = connection()
    body = bytes(range(256)) * 4000
    assert ask(conn, "POST", "/echo", body=body) == (200, body)
    pieces = [body[:1], body[1:70000], body[70000:]]
    assert ask(conn, "POST", "/echo", body=iter(pieces), encode_chunked=True,
               headers={"Transfer-Encoding": "chunked"}) == (200, body)
    assert ask(conn, "PUT", "/sum", body=b"") == (200, b"0 0")


def old_clients() -> None:
    for more in ("", "Connection: keep-alive\r\n"):
        with socket.create_connection(("127.0.0.1", PORT), timeout=60) as sock:
            sock.sendall(f"GET /hello HTTP/1.0\r\n{more}\r\n".encode())
            response = http.client.HTTPResponse(sock)
            response.begin()
            assert (response.status, response.read()) == (200, b"hello")
            if more:
                sock.sendall(b"GET /chunks HTTP/1.0\r\n\r\n")
                response = http.client.HTTPResponse(sock)
                response.begin()
                assert response.read() == b"onetwothree"
            assert sock.recv(1) == b"", "it ends"


def pipelined() -> None:
    with socket.create_connection(("127.0.0.1", PORT), timeout=60) as sock:
        get = b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"
        sock.sendall(get * 50)
        sock.shutdown(socket.SHUT_WR)
        text = b""
        while piece := sock.recv(65536):
            text += piece
        assert text.count(b"HTTP/1.1 200 OK") == 50 and text.endswith(b"hello")


def trickled() -> None:
    with socket.create_connection(("127.0.0.1", PORT), timeout=60) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"POST /sum HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\n\x01\x02\x03":
            sock.sendall(bytes([byte]))
        text = b""
        while piece := sock.recv(65536):
            text += piece
        assert text.endswith(b"3 6"), text


def refused() -> None:
    for request in (b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
                    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
                    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
                    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", PORT), timeout=60) as sock:
            sock.sendall(request)
            response = http.client.HTTPResponse(sock)
            response.begin()
            response.read()
            assert response.status == 400 and response.getheader("Connection") == "close"
            assert sock.recv(1) == b""
    assert ask(connection(), "GET", "/hello") == (200, b"hello")


def together() -> None:
    failures: list[BaseException] = []

    def one() -> None:
        try:
            kept_connections()
            bodies()
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures


for part in (kept_connections, bodies, old_clients, pipelined, trickled, refused, together):
    part()
    print(part.__name__, "ok", flush=True)
print("all is well")
