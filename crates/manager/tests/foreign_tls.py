"""Python's ssl and HTTP client against a manager: `foreign_tls.py HTTPS_PORT TLS_ECHO_PORT CA`."""

import http.client
import socket
import ssl
import sys

HTTPS, ECHO, CA = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


def context(version: ssl.TLSVersion) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=CA)
    made.minimum_version = made.maximum_version = version
    return made


def connect(version: ssl.TLSVersion, port: int, name: str = "localhost", **how: object) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", port), timeout=60)
    # Without this, an end that was not announced looks like any other.
    return context(version).wrap_socket(plain, server_hostname=name, suppress_ragged_eofs=False, **how)


def versions() -> None:
    for version in VERSIONS:
        conn = http.client.HTTPSConnection("localhost", HTTPS, timeout=60, context=context(version))
        for _ in range(20):
            conn.request("GET", "/hello")
            assert conn.getresponse().read() == b"hello"
        conn.request("POST", "/echo", body=b"x" * 300_000)
        assert conn.getresponse().read() == b"x" * 300_000
        assert conn.sock.version() == version.name.replace("_", ".")
        conn.close()


def old_versions_are_refused() -> None:
    try:
        old = context(ssl.TLSVersion.TLSv1_2)
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        old.set_ciphers("DEFAULT@SECLEVEL=0")
    except (ValueError, ssl.SSLError):
        return  # this ssl does not know them itself
    plain = socket.create_connection(("127.0.0.1", HTTPS), timeout=60)
    try:
        old.wrap_socket(plain, server_hostname="localhost")
    except (ssl.SSLError, ConnectionError):
        return
    raise AssertionError("TLS 1.1 was spoken")


def names() -> None:
    for version in VERSIONS:
        for name in ["localhost", "two.example"]:
            with connect(version, HTTPS, name) as conn:
                names = [value for _, value in conn.getpeercert()["subjectAltName"]]
                assert name in names, names
        try:
            connect(version, HTTPS, "wrong.example")
        except ssl.SSLCertVerificationError:
            continue
        raise AssertionError("a certificate for another name was taken")


def ends() -> None:
    for version in VERSIONS:
        with connect(version, HTTPS) as conn:
            conn.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            length = 0
            # Anything but an end that was announced is an exception here.
            while piece := conn.recv(65536):
                length += len(piece)
            assert length > 5_000_000, length
        # Ours is announced, too, and answered: unwrap() waits for it.
        conn = connect(version, ECHO)
        conn.sendall(b"hello")
        assert conn.recv(100) == b"hello"
        conn.unwrap().close()


def application_protocols() -> None:
    for offered, chosen in [(["http/1.1"], "http/1.1"), (["h2", "http/1.1"], "http/1.1"), ([], None)]:
        made = context(ssl.TLSVersion.TLSv1_3)
        if offered:
            made.set_alpn_protocols(offered)
        plain = socket.create_connection(("127.0.0.1", HTTPS), timeout=60)
        with made.wrap_socket(plain, server_hostname="localhost") as conn:
            assert conn.selected_alpn_protocol() == chosen, (offered, conn.selected_alpn_protocol())


def resumption() -> None:
    made = context(ssl.TLSVersion.TLSv1_2)
    session = None
    for first in [True, False]:
        plain = socket.create_connection(("127.0.0.1", ECHO), timeout=60)
        with made.wrap_socket(plain, server_hostname="localhost", session=session) as conn:
            conn.sendall(b"x")
            assert conn.recv(1) == b"x"
            assert conn.session_reused is not first, "the session was not resumed"
            session = conn.session


for test in [versions, old_versions_are_refused, names, ends, application_protocols, resumption]:
    test()
    print(test.__name__)
print("all is well")
