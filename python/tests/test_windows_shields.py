"""Blocks over the events of Windows' console (P78, P80)."""

import pytest
from windows import EVENTS, Program, only_windows

pytestmark = only_windows

BLOCKS = """
from exeunt import ShutdownProtection, configure_shutdown_manager

def before_termination():
    say("before termination")

configure_shutdown_manager(before_termination=before_termination)

def body(block, *, is_long=False):
    say("in the block")
    end = time.monotonic() + (60 if is_long else 1.5)
    while time.monotonic() < end:
        time.sleep(0.05)
    say("finished")

def plain():
    with ShutdownProtection() as block:
        body(block)
    time.sleep(60)

def breaks():
    with ShutdownProtection() as block:
        say("in the block")
        while True:
            time.sleep(0.05)
            block.allow_break()

def times_out():
    with ShutdownProtection(1.0) as block:
        try:
            body(block, is_long=True)
        except BaseException as error:
            say("rolled back")
            raise

def native():
    with exeunt.shield():
        body(None)
    time.sleep(60)

def outside():
    with ShutdownProtection():
        pass
    say("in the block")
    say("finished")
    time.sleep(60)

def thread():
    def work():
        with ShutdownProtection() as block:
            body(block)
    other = threading.Thread(target=work)
    other.start()
    while other.is_alive():
        other.join(0.05)
    time.sleep(60)

def task():
    async def main():
        async with ShutdownProtection() as block:
            say("in the block")
            await asyncio.sleep(1.5)
            say("finished")
        await asyncio.sleep(60)
    asyncio.run(main())

kind = sys.argv[1]
try:
    globals()[kind]()
except BaseException as error:
    say("left by", repr(error))
    sys.exit(0)
"""

BY = {"ctrl-c": "left by KeyboardInterrupt()", "native": "left by SystemExit(0)"}


def expected(kind: str, event: str) -> list[str]:
    """What the program says."""
    ends = {"breaks": [], "times_out": ["rolled back"]}.get(kind, ["finished"])
    leaves = BY.get(kind) or BY.get(event, "left by SystemExit(1)")
    hook = ["before termination"]
    if kind == "times_out":
        return ["in the block", *hook, *ends, leaves]
    return ["in the block", *ends, *hook, leaves]


CASES = [
    *(("plain", event) for event in EVENTS),
    *(("times_out", event) for event in ("ctrl-c", "close")),
    *(("outside", event) for event in EVENTS),
    *((kind, event) for kind in ("breaks", "native") for event in ("ctrl-c", "shutdown")),
    *((kind, event) for kind in ("thread", "task") for event in ("ctrl-c", "ctrl-break", "close")),
]


@pytest.mark.parametrize(("kind", "event"), CASES)
def test_an_event_waits_for_the_block_and_leaves_by_one_exception(kind: str, event: str) -> None:
    with Program(BLOCKS, kind) as program:
        program.until("in the block")
        program.deliver(event)
        assert program.end() == 0, program.output
    assert program.lines == expected(kind, event)
