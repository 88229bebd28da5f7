"""P58: aiohttp applications, by `exeunt.aiohttp.run_app`."""

import http.client
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from programs import PATIENCE, Program

Ask = Callable[..., http.client.HTTPConnection]

EXAMPLE = Path(__file__).parents[2] / "examples" / "python" / "aiohttp_app.py"


def port_of(program: Program) -> int:
    program.until("Running on")
    program.until("========\n")
    return int(program.output.split("127.0.0.1:")[1].split()[0])


@pytest.fixture
def ask() -> Iterator[Ask]:
    """Sends requests, each on a connection of its own, which is closed in the end."""
    with ExitStack() as stack:

        def ask(port: int, path: str = "/") -> http.client.HTTPConnection:
            client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
            stack.callback(client.close)
            client.request("GET", path)
            return client

        yield ask


def refused(port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 5).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.005)
    raise AssertionError("it still accepts")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_requests_in_flight_and_on_idle_connections_are_answered(
    number: int, ask: Ask, tmp_path: Path
) -> None:
    patient = tmp_path / "patient.py"
    patient.write_text(EXAMPLE.read_text().replace("port=int", "idle_grace=20, port=int"))
    with Program(patient, "0") as program:
        port = port_of(program)
        idle = ask(port)
        assert idle.getresponse().read() == b"Hello, World!"
        slow = ask(port, "/?seconds=0.3")
        # Behind them, in the same loop: they have surely arrived.
        last = ask(port)
        last.getresponse().read()
        last.close()
        program.send(number)
        refused(port)
        # An open connection that has not been told to close is answered (D4), and told (D2).
        idle.request("GET", "/")
        answer = idle.getresponse()
        assert (answer.status, answer.headers["Connection"]) == (200, "close")
        assert answer.read() == b"Hello, World!"
        late = slow.getresponse()
        assert (late.status, late.headers["Connection"]) == (200, "close")
        assert late.read() == b"Hello, World!"
        assert program.end() == 0
        lines = [line for line in program.output.splitlines() if "=" not in line]
        assert lines == ["starting", "stopping", "cleaned up"]


def test_a_silent_connection_does_not_hold_up_the_stop(ask: Ask) -> None:
    with Program(EXAMPLE, "0") as program:
        port = port_of(program)
        with socket.create_connection(("127.0.0.1", port)) as never_used:
            idle = ask(port)
            idle.getresponse().read()
            program.send(signal.SIGTERM)
            assert program.end() == 0
            assert never_used.recv(1) == b""
            idle.close()


def test_what_does_not_finish_is_cut_and_named(ask: Ask) -> None:
    with Program(
        """
        import asyncio, logging, sys
        from aiohttp import web
        import exeunt.aiohttp

        logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")

        async def handle(request):
            print("begun")
            await asyncio.sleep(60)

        async def cleaned_up(app):
            print("cleaned up")

        async def make():
            app = web.Application()
            app.on_cleanup.append(cleaned_up)
            app.router.add_get("/slow", handle)
            return app

        exeunt.aiohttp.run_app(make(), host="127.0.0.1", port=0, grace=2.0)
        """
    ) as program:
        slow = ask(port_of(program), "/slow")
        program.until("begun")
        program.send(signal.SIGTERM)
        with pytest.raises((http.client.HTTPException, OSError)):
            slow.getresponse()
        assert program.end() == 3
        assert "cut: request GET /slow" in program.output
        assert "cleaned up" in program.output
        assert "Traceback" not in program.output
