"""The examples of programs that start and stop, and what they owe. Signals at all points of their
lives are in `test_sweep`.
"""

import signal
import socket
from pathlib import Path

from programs import Program

EXAMPLES = Path(__file__).parents[2] / "examples" / "python"


def test_clients_of_the_streams_are_answered_and_told() -> None:
    with Program(EXAMPLES / "asyncio_streams.py") as program:
        program.until("\n")
        port = int(program.output.split("port ")[1])
        with socket.create_connection(("127.0.0.1", port), 30) as client:
            client.sendall(b"line\n" * 200)
            with client.makefile("rb") as stream:
                assert stream.readline() == b"Echo: line\n"
                program.send(signal.SIGTERM)
                rest = stream.read()
        assert rest == b"Echo: line\n" * 199 + b"Server is shutting down. Goodbye!\r\n"
        assert program.end() == 0


def test_a_busy_executor_does_not_keep_the_program() -> None:
    with Program(EXAMPLES / "busy_executor.py") as program:
        program.until("started")
        program.send(signal.SIGINT)
        assert program.end() == 3
        assert "storage closed" in program.output
        assert "still there: thread worker_0, in process" in program.output
