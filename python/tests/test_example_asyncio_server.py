"""The example `asyncio_server.py`: asked, and stopped by real signals."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from running import program
from serving import connected, fetch, refused, run
from test_serve_websockets import TEXT, upgraded
from test_server_examples import drill

EXAMPLE = Path(__file__).parents[2] / "examples" / "python" / "asyncio_server.py"


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_and_leaves_without_losing_anything(stop: signal.Signals) -> None:
    async def main() -> None:
        with program(argv=[str(EXAMPLE), "http://127.0.0.1:0"]) as served:
            text = await asyncio.to_thread(served.wait_for, "\n")
            port = int(text.split("port ")[1])
            assert (await fetch(port, "/?name=you")).body == b'{"hello":"you"}'
            assert (await fetch(port, "/none")).status == 404
            async with (
                connected(port) as clock,
                connected(port) as slow,
                upgraded(port, "/chat") as one,
                upgraded(port, "/chat") as other,
            ):
                clock.ask("/clock")
                await clock.head()
                assert await clock.chunk() == b"data: tick 0\n\n"
                one.send(TEXT, b"hello")
                assert await other.frame() == await one.frame() == (TEXT, b"hello")
                slow.ask("/slow?seconds=0.2")
                # Behind its request, on a connection of the same loop, it is surely there.
                await fetch(port, "/")
                served.kill(stop)
                await refused(port)
                assert (await slow.reply()).body == b"slow, but not lost\n"
                assert await clock.chunk() == b"data: goodbye\n\n"
                assert await clock.chunk() == b""
                for peer in one, other:
                    assert await peer.closed() == 1001
                    peer.close(1001)
            status, text = await asyncio.to_thread(served.end)
            assert (status, "drained in" in text) == (0, True), text

    run(main)


def test_what_does_not_end_in_time_is_said(tmp_path: Path) -> None:
    hasty = tmp_path / "hasty.py"
    hasty.write_text(EXAMPLE.read_text().replace("grace=25", "grace=0.5"))

    async def main() -> None:
        with program(argv=[str(hasty), "http://127.0.0.1:0"]) as served:
            text = await asyncio.to_thread(served.wait_for, "\n")
            port = int(text.split("port ")[1])
            async with connected(port) as slow:
                slow.ask("/slow?seconds=1000")
                await fetch(port, "/")
                served.kill()
                assert (await slow.reply()).status == 503
            status, text = await asyncio.to_thread(served.end)
            assert (status, "cut: request GET /slow" in text) == (3, True), text

    run(main)


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_it_loses_nothing_in_a_drill() -> None:
    command = drill()
    if command is None:
        pytest.skip("exeunt is not built: cargo build, or EXEUNT_COMMAND")
    arguments = [command, "drill", "--slow-path", "/slow?seconds=0.5", "--"]
    served = [sys.executable, str(EXAMPLE), "http://127.0.0.1:{port}"]
    done = subprocess.run([*arguments, *served], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
