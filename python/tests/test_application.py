"""P53, P55: sync main functions, and services that start in order and stop in reverse."""

import signal

import pytest
from programs import Program

SYNC = """
    import logging, os, signal, sys, threading, time
    import exeunt

    which = sys.argv[1]

    def untold():
        try:
            print("up")
            time.sleep(60)
        finally:
            print("rolled back")

    def told(app):
        print("up")
        while not app.stop.wait_blocking(60):
            pass
        print("told")
        return "value"

    def deaf(app):
        try:
            print("up")
            time.sleep(60)
        except KeyboardInterrupt:
            print("interrupted")
            raise

    def shielded():
        with exeunt.DelayedKeyboardInterrupt():
            print("up")
            end = time.monotonic() + 0.3
            while time.monotonic() < end:
                time.sleep(0.01)
            print("finished")
        time.sleep(60)

    def stubborn():
        while True:
            try:
                print("up")
                time.sleep(60)
            except KeyboardInterrupt:
                pass

    def leaves():
        raise SystemExit(7)

    def fails():
        raise ValueError("of main")

    print("returned", exeunt.run(globals()[which], grace=3.0))
    """


@pytest.mark.parametrize(
    ("main", "status", "output"),
    [
        ("untold", 0, "up\nrolled back\nreturned None\n"),
        ("told", 0, "up\ntold\nreturned value\n"),
        ("deaf", 3, "up\ninterrupted\n"),
        ("shielded", 0, "up\nfinished\nreturned None\n"),
    ],
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_sync_main_is_told_or_interrupted(
    main: str, status: int, output: str, number: int
) -> None:
    with Program(SYNC, main) as program:
        program.until("up")
        program.send(number)
        assert program.end() == status
        assert program.output == output


def test_a_sync_main_that_does_not_end_is_left() -> None:
    with Program(SYNC, "stubborn") as program:
        program.until("up")
        program.send(signal.SIGTERM)
        assert program.end() in (1, 3)
        assert "the process ends; still there: the main thread" in program.output


def test_a_third_signal_ends_a_sync_main() -> None:
    with Program(SYNC.replace("grace=3.0", "grace=60.0"), "stubborn") as program:
        program.until("up")
        for _ in range(3):
            program.send(signal.SIGTERM)
            program.pause()
        assert program.end() == 128 + signal.SIGTERM


@pytest.mark.parametrize(("main", "status"), [("leaves", 7), ("fails", 1)])
def test_what_a_sync_main_raises_is_raised(main: str, status: int) -> None:
    with Program(SYNC, main) as program:
        assert program.end() == status
        assert ("ValueError: of main" in program.output) == (main == "fails")


SERVICES = """
    import asyncio, logging, sys, time
    import exeunt

    logging.basicConfig(level=logging.CRITICAL)
    which = sys.argv[1]

    class Sync:
        name = "sync"
        def start(self):
            print("sync starts")
            if which == "sync hangs":
                time.sleep(60)
            time.sleep(0.05)
            print("sync started")
        def stop(self):
            print("sync stops")
            if which == "stop hangs":
                time.sleep(60)
            time.sleep(0.05)
            print("sync stopped")

    class Async:
        async def start(self):
            print("async starts")
            await asyncio.sleep(0.05)
            if which == "fails":
                raise ValueError("of the service")
            print("async started")
        async def stop(self):
            print("async stops")
            if which == "fails to stop":
                raise ValueError("of the service")
            await asyncio.sleep(0.05)
            print("async stopped")

    def work():
        print("working")
        time.sleep(60)

    async def awork(app):
        print("working")
        await app.stop.wait()

    times = {"start_timeout": 1.0, "timeout": 1.0} if "hang" in which else {}
    application = exeunt.Application([Sync(), Async()], grace=5.0, **times)
    if which == "embedded":
        asyncio.run(application.arun(awork))
    else:
        application.run({"sync main": work, "async main": awork}.get(which))
    """

UP = ["sync starts", "sync started", "async starts", "async started"]
DOWN = ["async stops", "async stopped", "sync stops", "sync stopped"]


@pytest.mark.parametrize("which", ["no main", "sync main", "async main", "embedded"])
def test_services_stop_in_reverse_order(which: str) -> None:
    with Program(SERVICES, which) as program:
        program.until("async started")
        if which != "no main":
            program.until("working")
        program.send(signal.SIGINT, group=True)
        assert program.end() == 0
        lines = [line for line in program.output.splitlines() if line != "working"]
        assert lines == [*UP, *DOWN]


def test_a_stop_lets_the_start_finish_and_starts_nothing_further() -> None:
    with Program(SERVICES, "sync main") as program:
        program.until("sync starts")
        program.send(signal.SIGTERM)
        assert program.end() == 0
        assert program.output.splitlines() == [*UP[:2], *DOWN[2:]]


@pytest.mark.parametrize(
    ("which", "lines", "error"),
    [
        ("fails", [*UP[:3], *DOWN[2:]], "ValueError: of the service"),
        ("sync hangs", UP[:1], "TimeoutError: sync takes too long"),
    ],
)
def test_a_start_that_fails_stops_those_before(which: str, lines: list[str], error: str) -> None:
    with Program(SERVICES, which) as program:
        assert program.end() == 1
        assert [line for line in program.output.splitlines() if line in UP + DOWN] == lines
        assert error in program.output


@pytest.mark.parametrize(
    ("which", "lines"),
    [
        ("stop hangs", [*UP, *DOWN[:3]]),
        ("fails to stop", [*UP, DOWN[0], *DOWN[2:]]),
    ],
)
def test_the_next_stops_behind_one_that_does_not(which: str, lines: list[str]) -> None:
    with Program(SERVICES, which) as program:
        program.until("async started")
        program.send(signal.SIGTERM)
        assert program.end() == 1
        assert [line for line in program.output.splitlines() if line in UP + DOWN] == lines
