"""TLS with foreign clients, and with a foreign server (P16)."""

import http.client
import shutil
import ssl
import subprocess

import httpx
import pytest
from certificates import Certificates
from tls_wire import ask, server
from wire import GET, LIMIT, loop, serving

from exeunt.mongoose import TlsOpts


def test_httpx_and_http_client_ask(pem: Certificates) -> None:
    context = ssl.create_default_context(cadata=pem.ca)
    with serving(server(TlsOpts(cert=pem.cert, key=pem.key)), "https://127.0.0.1:0") as port:
        with httpx.Client(verify=context, timeout=LIMIT) as client:
            for _ in range(3):
                assert client.get(f"https://localhost:{port}/").text == "hello"
        old = http.client.HTTPSConnection("127.0.0.1", port, timeout=LIMIT, context=context)
        old.request("GET", "/")
        assert old.getresponse().read() == b"hello"
        old.close()


def test_curl_asks(pem: Certificates) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed: nothing foreign but Python has asked")
    with serving(server(TlsOpts(cert=pem.cert, key=pem.key)), "https://127.0.0.1:0") as port:
        for version in ("--tlsv1.2", "--tlsv1.3"):
            command = [curl, "-sSfm", "30", version, "--cacert", str(pem.folder / "ca.pem")]
            done = subprocess.run(
                [*command, f"https://localhost:{port}/"], check=True, capture_output=True
            )
            assert done.stdout == b"hello"


def test_openssl_s_client_asks(pem: Certificates) -> None:
    with serving(server(TlsOpts(cert=pem.cert, key=pem.key)), "https://127.0.0.1:0") as port:
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", "ca.pem"]
        done = subprocess.run(
            [*command, "-verify_return_error", "-quiet", "-servername", "localhost"],
            cwd=pem.folder,
            input=GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
            capture_output=True,
            timeout=LIMIT,
            check=True,
        )
        assert done.stdout.endswith(b"hello")


def test_our_client_asks_a_foreign_server(pem: Certificates) -> None:
    command = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", "cert.pem"]
    foreign = subprocess.Popen(
        [*command, "-key", "key.pem", "-www", "-naccept", "1"],
        cwd=pem.folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        assert foreign.stdout is not None
        accept = next(line for line in foreign.stdout if line.startswith(b"ACCEPT"))
        port = int(accept.rsplit(b":", 1)[1])
        with loop() as at:
            answer = ask(at, port, TlsOpts(ca=pem.ca)).of("HTTP_MSG")
        assert "200" in str(answer)
        assert "TLSv1.3" in str(answer)
    finally:
        foreign.kill()
        foreign.communicate()
