"""Blocks in several tasks of one loop, whatever they do, beside a signal at any point of theirs."""

import json
import re

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from shielded import shielded

# Each task does its blocks one after the other; between the two parts of a step the others have
# their turns.
DRIVER = """
import asyncio, json, os, sys
from exeunt.graceful_shutdown import ShutdownProtection, configure_shutdown_manager
configure_shutdown_manager()
plans, number = json.loads(sys.stdin.readline())
def say(*words):
    print(*words)
async def work(who, plan):
    try:
        for block in plan:
            async with ShutdownProtection() as shield:
                for what in block:
                    if what == "step":
                        say(who, "a")
                        await asyncio.sleep(0)
                        say(who, "b")
                    elif what == "signal":
                        say(who, "signal")
                        os.kill(os.getpid(), number)
                    else:
                        say(who, "break")
                        shield.allow_break()
                        say(who, "on")
                say(who, "end")
            say(who, "out")
            await asyncio.sleep(0)
    except (KeyboardInterrupt, SystemExit):
        say(who, "raised")
        raise
async def main():
    tasks = [asyncio.create_task(work(who, plan)) for who, plan in enumerate(plans)]
    await asyncio.wait(tasks)
asyncio.run(main())
"""

_block = st.lists(st.sampled_from(["step", "step", "break", "signal"]), max_size=5)
_plans = st.lists(st.lists(_block, max_size=3), min_size=1, max_size=4)


def _with_one_signal(plans: list[list[list[str]]]) -> list[list[list[str]]]:
    """The first signal alone: a further one would be an attempt (P43)."""
    seen = False

    def keeps(what: str) -> bool:
        nonlocal seen
        first, seen = what != "signal" or not seen, seen or what == "signal"
        return first

    return [[[what for what in block if keeps(what)] for block in plan] for plan in plans]


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(_plans, st.sampled_from([2, 15]))
def test_p45_tasks_leave_at_safe_points_whatever_they_do(
    wanted: list[list[list[str]]], number: int
) -> None:
    plans = _with_one_signal(wanted)
    with shielded(DRIVER) as running:
        running.say(json.dumps([plans, number]) + "\n")
        status, out = running.end()
    # What an exception that leaves by a task has for a traceback is asyncio's.
    lines = [line.split() for line in out.splitlines() if re.fullmatch(r"\d \w+", line)]
    said = [(int(who), what) for who, what in lines]
    struck = next((place for place, (_, what) in enumerate(said) if what == "signal"), None)
    event("struck" if struck is not None else "not struck")
    for who in range(len(plans)):
        mine = [what for teller, what in said if teller == who]
        steps = [what for what in mine if what in ("a", "b")]
        assert steps == ["a", "b"] * (len(steps) // 2), "a step was cut in two"
        assert mine.count("raised") <= 1
        if "raised" in mine:
            assert mine[-1] == "raised", "it went on behind the exception"
    if struck is None:
        assert status == 0
        assert sum(what == "b" for _, what in said) == sum(
            what == "step" for plan in plans for block in plan for what in block
        )
        return
    assert status == (-2 if number == 2 else 1), out
    for who, what in said[struck:]:
        assert what != "on", f"task {who} passed a safe point behind the signal"
    for who, plan in enumerate(plans):
        # No block begins behind the signal, beside those that were begun.
        begun = said[struck:].count((who, "end"))
        assert begun <= 1, f"task {who} of {plan}"
