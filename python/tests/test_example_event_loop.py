"""The example `event_loop.py`: asked, and stopped by real signals while an answer is on its way."""

import http.client
import signal
from pathlib import Path

import pytest
from programs import Program

EXAMPLE = Path(__file__).parents[2] / "examples" / "python" / "event_loop.py"


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_it_answers_what_was_asked_before_the_stop(stop: signal.Signals) -> None:
    with Program(EXAMPLE, "http://127.0.0.1:0") as program:
        program.until("\n")
        port = int(program.output.split("port ")[1])
        clients = [http.client.HTTPConnection("127.0.0.1", port, timeout=40) for _ in range(2)]
        slow, client = clients
        slow.request("GET", "/slow")
        # Answered behind that request, which has been read by then.
        for path, status in (("/", 200), ("/none", 404)):
            client.request("GET", path)
            with client.getresponse() as response:
                assert response.status == status
                response.read()
        program.send(stop)
        with slow.getresponse() as response:
            assert response.getheader("Connection") == "close"
            assert response.read() == b"slow, but not lost\n"
        assert program.end() == 0, program.output
        for open_client in clients:
            open_client.close()
        with pytest.raises(ConnectionRefusedError):
            client.connect()
