"""Blocks in the tasks of asyncio."""

import signal
import sys

import pytest
from shielded import shielded

INT, TERM = signal.SIGINT, signal.SIGTERM


def told(status: int, output: str) -> tuple[int, str]:
    """Without what asyncio of CPython 3.10 says of a SystemExit that nobody retrieved."""
    if sys.version_info < (3, 11):
        output = output.partition("Task exception was never retrieved\n")[0]
    return status, output


TASKS = """
import asyncio, sys
from exeunt import ShutdownProtection
whole = {}
async def work(name):
    try:
        async with ShutdownProtection() as block:
            print("inside")
            while True:
                block.allow_break()
                whole[name] = False
                await asyncio.sleep(0.001)
                await asyncio.sleep(0.03 * name)
                whole[name] = True
    except BaseException as error:
        print(name, repr(error))
        raise
async def main():
    await asyncio.gather(*(work(number) for number in range(5)))
try:
    asyncio.run(main())
finally:
    print(all(whole.values()))
"""


@pytest.mark.parametrize("sent", [INT, TERM])
def test_p45_tasks_leave_at_their_safe_points_and_none_is_cut_by_another(
    sent: signal.Signals,
) -> None:
    with shielded(TASKS) as running:
        running.wait_for("inside\n" * 5)
        running.kill(sent)
        status, out = running.end()
    assert "True\n" in out
    kind = "KeyboardInterrupt()" if sent == INT else "SystemExit(1)"
    assert status == (-INT if sent == INT else 1)
    assert kind in out


def test_p45_a_task_without_a_block_is_interrupted_when_those_with_one_are_over() -> None:
    text = """
    import asyncio
    from exeunt import ShutdownProtection
    async def work():
        async with ShutdownProtection():
            print("inside")
            await asyncio.sleep(0.3)
            print("whole")
    async def main():
        task = asyncio.create_task(work())
        await asyncio.sleep(60)
    asyncio.run(main())
    """
    with shielded(text) as running:
        running.wait_for("inside\n")
        running.kill(TERM)
        assert told(*running.end()) == (1, "inside\nwhole\n")


def test_p45_a_task_that_begins_a_block_late_waits_for_the_others() -> None:
    text = """
    import asyncio
    from exeunt import ShutdownProtection
    late = asyncio.Event()
    async def first():
        async with ShutdownProtection():
            print("inside")
            await asyncio.to_thread(input)
            late.set()
            await asyncio.sleep(0.2)
            print("whole")
    async def second():
        await late.wait()
        async with ShutdownProtection():
            print("never")
    async def main():
        await asyncio.gather(first(), second())
    asyncio.run(main())
    """
    with shielded(text) as running:
        running.wait_for("inside\n")
        running.kill(TERM)
        running.say("\n")
        assert told(*running.end()) == (1, "inside\nwhole\n")


def test_p47_handlers_of_the_loop_stay_beside_ours() -> None:
    text = """
    import asyncio, os, signal
    from exeunt import ShutdownProtection
    async def main():
        got = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, got.set)
        async with ShutdownProtection() as block:
            os.kill(os.getpid(), signal.SIGUSR1)
            await got.wait()
            print("got it")
            await asyncio.to_thread(input)
            block.allow_break()
    asyncio.run(main())
    """
    with shielded(text) as running:
        running.wait_for("got it\n")
        running.kill(TERM)
        running.say("\n")
        assert running.end() == (1, "got it\n")


def test_p47_a_program_that_is_run_sees_its_stop_through_beside_blocks() -> None:
    text = """
    import asyncio, exeunt
    async def main(app):
        async with exeunt.ShutdownProtection():
            pass
        print("inside")
        await app.stop.wait()
        await asyncio.sleep(0.05)
        print("stopped")
    exeunt.run(main)
    """
    with shielded(text) as running:
        running.wait_for("inside\n")
        running.kill(TERM)
        assert running.end() == (0, "inside\nstopped\n")
