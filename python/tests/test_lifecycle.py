"""The lifecycle: phases, work, the report, descriptors."""

import gc
import json
import select
import signal
import threading
import time
import weakref

import pytest

from exeunt import Lifecycle, Phase

MOMENT = 10.0
"""How long something that happens at once may take."""


def is_readable(fd: int, timeout: float = 0) -> bool:
    return bool(select.select([fd], [], [], timeout)[0])


def is_in(lifecycle: Lifecycle, phase: Phase) -> bool:
    return lifecycle.phase is phase


def test_phases_move_forward_to_a_report() -> None:
    lifecycle = Lifecycle()
    assert is_in(lifecycle, Phase.STARTING)
    lifecycle.ready()
    assert is_in(lifecycle, Phase.RUNNING)
    assert not lifecycle.is_stopping
    assert lifecycle.cause is None
    assert (lifecycle.drain_deadline, lifecycle.hard_deadline) == (None, None)
    assert lifecycle.report is None
    assert lifecycle.request_stop("the test is over")
    assert not lifecycle.request_stop("too late")
    report = lifecycle.close()
    assert (report.cause, report.exit_status, report.verdict) == ("the test is over", 0, "clean")
    assert list(report.phases) == ["starting", "running", "lame_duck", "draining", "closing"]
    assert report.signal is None
    assert report.attempts == 0
    assert str(report).startswith("stopped in ")
    assert is_in(lifecycle, Phase.STOPPED)
    assert lifecycle.report is not None


def test_deadlines_are_on_the_monotonic_clock() -> None:
    with Lifecycle(grace=100) as lifecycle:
        before = time.monotonic()
        with lifecycle.work("one"):
            lifecycle.request_stop("enough")
            after = time.monotonic()
            drain, hard = lifecycle.drain_deadline, lifecycle.hard_deadline
            assert drain is not None
            assert hard is not None
            assert before + 94.9 < drain < after + 95.1
            assert hard - drain == pytest.approx(5, abs=0.01)
            assert lifecycle.drain_deadline == drain


def test_work_is_waited_for() -> None:
    lifecycle = Lifecycle()
    work = lifecycle.work("orders.csv", kind="import")
    assert (work.name, work.kind, work.is_done) == ("orders.csv", "import", False)
    lifecycle.request_stop("enough")
    assert not lifecycle.wait(0.01, Phase.CLOSING)
    threading.Timer(0.01, work.done).start()
    report = lifecycle.close()
    assert (report.in_flight, report.finished, report.cut, report.exit_status) == (1, 1, (), 0)
    assert work.is_done


def test_work_that_the_deadline_cuts_is_named() -> None:
    lifecycle = Lifecycle(grace=0.1)
    stuck = lifecycle.work("stuck.csv", kind="import")
    cut = lifecycle.work("cut.csv", kind="import")
    lifecycle.request_stop("enough")
    assert lifecycle.wait(MOMENT, Phase.CLOSING)
    assert cut.is_cut
    cut.cut()
    report = lifecycle.close()
    assert [(it.kind, it.name, it.peer) for it in report.cut] == [("import", "cut.csv", None)]
    assert report.cut[0].age >= 0.08
    assert report.cut[0].site is not None
    assert "test_lifecycle.py:" in report.cut[0].site
    assert [it.name for it in report.left_behind] == ["stuck.csv"]
    assert (report.cut_count, report.left_behind_count) == (1, 1)
    assert (report.exit_status, report.verdict, report.is_clean) == (3, "cut", False)
    stuck.done()


def test_work_begins_in_the_drain() -> None:
    lifecycle = Lifecycle()
    first = lifecycle.work("first")
    lifecycle.request_stop("enough")
    first.done()
    assert lifecycle.wait(MOMENT, Phase.CLOSING)
    with lifecycle.work("late"):
        pass
    assert lifecycle.close().exit_status == 0


def test_an_exception_is_the_failure_of_its_work() -> None:
    lifecycle = Lifecycle()
    with pytest.raises(ValueError, match="line 7"), lifecycle.work("orders.csv", scope="imports"):
        raise ValueError("line 7 is no order")
    report = lifecycle.close()
    assert report.failures == (("imports: orders.csv", "ValueError: line 7 is no order"),)
    assert report.exit_status == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, "asyncio", "concurrent.futures"])
def test_a_cancellation_is_a_cut(error: type[BaseException] | str) -> None:
    if isinstance(error, str):
        error = __import__(error, fromlist=["CancelledError"]).CancelledError
    assert isinstance(error, type)
    lifecycle = Lifecycle()
    lifecycle.request_stop("enough")
    with pytest.raises(error), lifecycle.work("orders.csv"):
        raise error
    assert lifecycle.close().failures == ()


def test_the_report_is_json_too() -> None:
    lifecycle = Lifecycle()
    lifecycle.fail("database", OSError("the disk is full"))
    report = lifecycle.close()
    written = json.loads(report.to_json())
    assert (written["exit_status"], written["why"]) == (1, "database failed: the disk is full")
    assert [phase["phase"] for phase in written["phases"]] == list(report.phases)


def test_descriptors_tell_of_each_change() -> None:
    lifecycle = Lifecycle()
    fd = lifecycle.fileno()
    assert fd == lifecycle.fileno()
    with lifecycle.watch() as watch:
        assert not is_readable(fd)
        lifecycle.ready()
        assert is_readable(fd, MOMENT)
        assert is_readable(watch.fileno(), MOMENT)
        lifecycle.seen()
        assert not is_readable(fd)
        assert is_readable(watch.fileno())
        watch.seen()
        assert not is_readable(watch.fileno())
    with pytest.raises(ValueError, match="closed"):
        watch.fileno()
    lifecycle.close()
    assert is_readable(fd, MOMENT)


def test_close_is_idempotent_and_answers_every_thread() -> None:
    lifecycle = Lifecycle()
    answers: list[int] = []
    work = lifecycle.work("one")
    closers = [
        threading.Thread(target=lambda: answers.append(lifecycle.close().exit_status))
        for _ in range(4)
    ]
    for closer in closers:
        closer.start()
    assert lifecycle.wait(MOMENT)
    work.done()
    for closer in closers:
        closer.join()
    assert answers == [0] * 4
    assert lifecycle.close().exit_status == 0
    with pytest.raises(RuntimeError, match="closed"):
        lifecycle.work("too late")


def test_what_is_dropped_is_closed() -> None:
    lifecycle = Lifecycle()
    reference = weakref.ref(lifecycle)
    lifecycle.work("forgotten")
    del lifecycle
    gc.collect()
    assert reference() is None


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"grace": -1}, "grace is -1; it is a number of seconds"),
        ({"grace": float("nan")}, "grace is NaN"),
        ({"grace": 0}, "choose between"),
        ({"lame_duck": 24}, "lame duck of 24s leaves no time"),
        ({"max_attempts": 0}, "max_attempts is 0"),
        ({"signals": [signal.SIGKILL]}, "SIGKILL cannot be handled"),
        ({"signals": [4711]}, "4711 cannot be handled"),
        ({"force": "later"}, 'choose "notify" or "exit"'),
    ],
)
def test_what_cannot_be_is_a_value_error(arguments: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Lifecycle(**arguments)  # type: ignore[arg-type]


def test_waits_end_in_time() -> None:
    with Lifecycle() as lifecycle:
        assert not lifecycle.wait(0)
        assert not lifecycle.wait(0.02)
        with pytest.raises(ValueError, match="timeout"):
            lifecycle.wait(-1)
        with pytest.raises(ValueError, match="no such phase"):
            lifecycle.wait(0, 17)
        threading.Timer(0.01, lifecycle.request_stop, ["enough"]).start()
        assert lifecycle.wait(MOMENT)
        assert lifecycle.cause == "enough"
