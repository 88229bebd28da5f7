"""P57, P58: what clients that fail at TLS are to servers, and to their stops."""

import asyncio
import os
import signal
import socket
import ssl
from contextlib import suppress

import pytest
from certificates import Certificates
from programs import PATIENCE, Program

import exeunt
from exeunt import GracefulServer


@pytest.fixture
def context(pem: Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(
        pem.folder / "cert.pem",
        pem.folder / "key.pem",
    )
    return context


def hear_out(client: socket.socket) -> None:
    """Until the server has closed, in whatever way."""
    client.settimeout(PATIENCE)
    with suppress(ConnectionError, ssl.SSLError):
        while client.recv(4096):
            pass


def say(port: int, words: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
        client.sendall(words)
        hear_out(client)


async def read(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


def test_a_client_that_never_begins_its_handshake_does_not_hold_up_the_stop(
    context: ssl.SSLContext,
) -> None:
    async def main() -> None:
        server = GracefulServer(read, "127.0.0.1", ssl=context, timeout=PATIENCE)
        await server.start()
        with socket.create_connection(("127.0.0.1", server.port)):
            # What is in the queue is accepted before the listener closes.
            report = await server.stop()
        assert report.is_clean
        assert report.duration < PATIENCE / 2

    asyncio.run(exeunt.arun(main, grace=2 * PATIENCE))


def test_a_client_that_speaks_no_tls_is_no_failure(
    context: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with GracefulServer(read, "127.0.0.1", ssl=context) as server:
            await asyncio.to_thread(say, server.port, b"GET / HTTP/1.0\r\n\r\n")

    asyncio.run(exeunt.arun(main))
    assert "ERROR" not in [record.levelname for record in caplog.records]


def test_a_client_that_breaks_tls_is_no_failure(context: ssl.SSLContext) -> None:
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE

    def break_it(port: int) -> None:
        with (
            socket.create_connection(("127.0.0.1", port), PATIENCE) as plain,
            trusting.wrap_socket(plain) as client,
        ):
            os.write(client.fileno(), b"this is no record of TLS")
            hear_out(client)

    async def main() -> None:
        async with GracefulServer(read, "127.0.0.1", ssl=context) as server:
            await asyncio.to_thread(break_it, server.port)

    asyncio.run(exeunt.arun(main))


def test_what_a_handler_has_failed_to_open_is_its_failure() -> None:
    async def fail(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise FileNotFoundError("of the handler")

    async def main() -> None:
        async with GracefulServer(fail, "127.0.0.1") as server:
            await asyncio.to_thread(say, server.port, b"")

    with pytest.raises(exeunt.StopFailed, match="of the handler"):
        asyncio.run(exeunt.arun(main))


def test_aiohttp_does_not_wait_for_a_handshake_that_never_begins(
    pem: Certificates,
) -> None:
    program = f"""
    import ssl, sys
    import exeunt.aiohttp
    from aiohttp import web

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain({str(pem.folder / "cert.pem")!r},
                            {str(pem.folder / "key.pem")!r})

    async def told(_):
        print("on_shutdown")

    app = web.Application()
    app.on_shutdown.append(told)
    exeunt.aiohttp.run_app(app, host="127.0.0.1", port=0, ssl_context=context, grace=30)
    """
    with Program(program) as running:
        running.until("========\n")
        port = int(running.output.split("127.0.0.1:")[1].split()[0])
        with socket.create_connection(("127.0.0.1", port)):
            running.send(signal.SIGTERM)
            assert running.end() == 0, running.output
        assert "on_shutdown" in running.output
