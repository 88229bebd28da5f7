"""`exeunt.run` over the events of Windows' console (P78, P79, P80)."""

import pytest
from windows import EVENTS, NUMBERS, Program, only_windows

pytestmark = only_windows

MAINS = """
async def tells(app):
    async def close():
        say("closed")
    await app.component("database", lambda: say("started"), close)
    say("ready")
    await app.stop.wait()
    say("told by", app.stop.cause)

def waits(app):
    say("ready")
    app.stop.wait_blocking()
    say("told by", app.stop.cause)

def sleeps():
    try:
        say("ready")
        time.sleep(60)
    except KeyboardInterrupt:
        say("told by KeyboardInterrupt")
        raise

kind, loop = sys.argv[1:]
exeunt.run(globals()[kind], loop_factory=getattr(asyncio, loop))
report = exeunt.last_report()
say("signal", report.signal, "verdict", report.verdict)
"""


CASES = [
    *((event, "tells", "ProactorEventLoop") for event in EVENTS),
    *((event, kind, "ProactorEventLoop") for event in EVENTS for kind in ("waits", "sleeps")),
    *((event, "tells", "SelectorEventLoop") for event in ("ctrl-c", "close")),
]


@pytest.mark.parametrize(("event", "kind", "loop"), CASES)
def test_an_event_stops_any_main_in_any_loop(event: str, kind: str, loop: str) -> None:
    with Program(MAINS, kind, loop) as program:
        program.until("ready")
        program.deliver(event)
        assert program.end() == 0, program.output
    told = [line for line in program.lines if line.startswith("told")]
    words = {
        "ctrl-c": "SIGINT from the terminal",
        "ctrl-break": "SIGBREAK from the terminal",
        "close": "SIGTERM, as the console was closed",
        "logoff": "SIGTERM, as a user logged off",
        "shutdown": "SIGTERM, as the system shuts down",
    }
    assert told == [f"told by {'KeyboardInterrupt' if kind == 'sleeps' else words[event]}"]
    if kind == "tells":
        assert program.lines == ["started", "ready", told[0], "closed", program.lines[-1]]
    assert program.lines[-1] == f"signal {NUMBERS[event]} verdict clean"
