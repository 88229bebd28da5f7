"""Blocks in a program of `exeunt.run`: they move its deadlines (L6, P47)."""

import json
import signal
import socket
from pathlib import Path

import pytest
from running import program
from shielded import PRINT, shielded

INT, TERM = signal.SIGINT, signal.SIGTERM

# Its time is over long before the block is.
KINDS = {
    "a task": """
import asyncio, exeunt
async def main():
    async with exeunt.shield(60):
        print("inside")
        await asyncio.to_thread(input)
        await asyncio.sleep(1.2)
        print("whole")
exeunt.run(main, grace=0.5)
""",
    "a sync main": """
import exeunt, time
def main():
    with exeunt.shield(60):
        print("inside")
        input()
        time.sleep(1.2)
        print("whole")
exeunt.run(main, grace=0.5)
""",
    "a thread": """
import asyncio, exeunt, time
def work():
    with exeunt.shield(60):
        print("inside")
        input()
        time.sleep(1.2)
        print("whole")
async def main(app):
    await asyncio.to_thread(work)
exeunt.run(main, grace=0.5)
""",
    "lifespan": """
import asyncio, exeunt
async def main():
    try:
        async with exeunt.lifespan(grace=0.5):
            async with exeunt.shield(60):
                print("inside")
                await asyncio.to_thread(input)
                await asyncio.sleep(1.2)
                print("whole")
    except exeunt.StopFailed as error:
        print(error)
asyncio.run(main())
""",
}


@pytest.mark.parametrize("kind", KINDS)
def test_p47_a_block_has_its_time_whatever_the_grace_period(kind: str) -> None:
    with shielded(KINDS[kind]) as running:
        running.wait_for("inside\n")
        running.kill(TERM)
        running.wait_until_taken(TERM)
        running.say("\n")
        status, out = running.end()
    assert out.startswith("inside\nwhole\n")
    # Main waits for the thread, and that for the block: behind it there is no time left (L6).
    assert status in (0, 3) if kind == "a thread" else status == 0


def test_p47_a_stop_without_a_signal_has_it_too_and_the_report_says_whose_it_was(
    tmp_path: Path,
) -> None:
    report, script = tmp_path / "report.json", tmp_path / "script.py"
    script.write_text(
        PRINT
        + """
import asyncio, exeunt, sys
async def main(app):
    with exeunt.ShutdownProtection(60):
        app.request_stop("the test")
        await asyncio.sleep(1.2)
        print("whole", app.stop.time_left() > 30)
exeunt.run(main, grace=0.5, report_file=sys.argv[1])
"""
    )
    with program(argv=[str(script), str(report)]) as running:
        assert running.end() == (0, "whole True\n")
    text = json.dumps(json.loads(report.read_text()))
    assert "script.py" in text, text


def test_p47_no_block_passes_the_hard_limit() -> None:
    text = """
    import asyncio, exeunt
    async def main():
        async with exeunt.shield(60) as block:
            print("inside")
            while True:
                block.renew(30)
                await asyncio.sleep(0.05)
    exeunt.run(main, grace=0.4, hard_limit=1.5)
    """
    with shielded(text) as running:
        running.wait_for("inside\n")
        running.kill(TERM)
        status, _ = running.end()
    assert status == 3


def test_p47_the_service_manager_is_told(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(20)
        text = PRINT + KINDS["a task"]
        with program(text, env={"NOTIFY_SOCKET": str(path)}) as running:
            running.wait_for("inside\n")
            running.kill(TERM)
            message = ""
            while "EXTEND_TIMEOUT_USEC=20000000" not in message:
                message = manager.recv(4096).decode()
            assert "the shield taken at <string>:" in message
            running.say("\n")
            status, _ = running.end()
    assert status == 0
