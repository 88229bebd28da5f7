"""ProcessPool: starts that fail, workers that die, stops that are late, and what is left (P67 to
P69).
"""

import asyncio
import logging
import os
import signal
import threading
from concurrent.futures import CancelledError, wait
from pathlib import Path
from typing import Any

import pool_workers as w
import pytest
from pools import LONG, children, handled, until
from test_process_pool import METHODS, Method

from exeunt import (
    CallTimedOut,
    PoolBroken,
    PoolStopped,
    ProcessPool,
    ProcessPoolReport,
    WorkerDied,
    WorkerStartError,
)


def forked(target: Any = w.Worker, *args: Any, **settings: Any) -> ProcessPool:
    """A pool that starts fast."""
    return ProcessPool(target, args, **{"workers": 2, "start_method": "fork", **settings})


@pytest.mark.parametrize("method", METHODS)
def test_an_init_that_raises_is_told_with_its_traceback(method: Method) -> None:
    pool = forked(w.FailingInit, "raise", start_method=method, bootstrap_timeout=LONG)
    with pytest.raises(WorkerStartError, match="LookupError: no such table: orders") as caught:
        pool.start()
    assert caught.value.stage == "ready"
    assert "in __init__" in caught.value.traceback
    assert pool.pids == ()
    with pytest.raises(PoolStopped):
        pool.submit("pid")


@pytest.mark.parametrize("method", METHODS)
def test_an_init_that_exits_is_told_with_what_it_said(method: Method) -> None:
    pool = forked(w.FailingInit, "exit", start_method=method, bootstrap_timeout=LONG)
    with pytest.raises(
        WorkerStartError, match="ended with exit code 3 before it was ready"
    ) as caught:
        pool.start()
    assert caught.value.stderr == "no licence\n"


def test_an_init_that_floods_stderr_and_dies_is_told_with_the_end_of_it(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(
        WorkerStartError, match="was killed by SIGKILL before it was ready"
    ) as caught:
        forked(w.FailingInit, "die", workers=1).start()
    assert len(caught.value.stderr) == 4096
    assert caught.value.stderr.endswith("xxxthe end\n")
    assert "the end" in capfd.readouterr().err


def test_an_init_that_hangs_is_ended() -> None:
    with pytest.raises(WorkerStartError, match=r"was not ready within 0\.2 s"):
        forked(w.FailingInit, "hang", ready_timeout=0.2).start()
    with pytest.raises(WorkerStartError, match="was not bootstrapped within 0 s") as caught:
        ProcessPool(workers=1, start_method="spawn", bootstrap_timeout=0).start()
    assert caught.value.stage == "bootstrap"


def test_one_start_that_fails_ends_all_others(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with pytest.raises(WorkerStartError, match="only once"):
        forked(w.FailingOnce, f"once:{log}", workers=4).start()
    assert children() == []


def test_what_never_started_is_not_stopped(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(WorkerStartError, match="it does not start"):
        forked(w.FailingInit, "start").start()
    assert "stopped what never started" not in capfd.readouterr().err


def test_a_worker_that_dies_fails_its_call_and_is_replaced() -> None:
    with forked() as pool:
        before = set(pool.pids)
        with pytest.raises(WorkerDied, match="ended with exit code 5 while it did end") as caught:
            pool.call("end", 5)
        assert (caught.value.exit_code, caught.value.signal, caught.value.job) == (5, None, "end")
        with pytest.raises(WorkerDied, match="was killed by SIGUSR1 while it did kill") as caught:
            pool.call("kill", signal.SIGUSR1)
        assert caught.value.signal == signal.SIGUSR1
        until(lambda: len(pool.pids) == 2, "the replacements")
        assert not before & set(pool.pids) or pool.call("scale", 2) == 2
    assert pool.report is not None
    assert pool.report.replaced == 2


@pytest.mark.parametrize("method", METHODS)
def test_kill_9_of_workers_under_load_loses_no_call_in_silence(method: Method) -> None:
    with forked(start_method=method, bootstrap_timeout=LONG, max_restarts=1000) as pool:
        futures = [pool.submit("slow_state", n) for n in range(60)]
        for n in (5, 20, 40):
            futures[n].exception(LONG)
            for pid in pool.pids:
                os.kill(pid, signal.SIGKILL)
        results = [future.exception(LONG) for future in futures]
    died = [error for error in results if error is not None]
    assert all(isinstance(error, WorkerDied) for error in died)
    assert len(died) <= 6


def test_a_worker_that_dies_again_and_again_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    pool = forked(workers=1, max_restarts=1)
    pool.start()
    with caplog.at_level(logging.WARNING, "exeunt"):
        for _ in range(2):
            assert isinstance(pool.submit("end", 1).exception(LONG), WorkerDied)
        until(lambda: any("given up after 2 deaths in a row" in m for m in caplog.messages))
    until(lambda: isinstance(submitted(pool), PoolBroken), "the end of the pool")
    assert "given up" in str(submitted(pool))
    assert "exit code 1 while it did end" in str(submitted(pool))
    assert pool.stop(LONG).replaced == 1


def submitted(pool: ProcessPool) -> BaseException | None:
    """What keeps the pool from taking a call."""
    try:
        pool.submit("pid").exception(LONG)
    except RuntimeError as error:
        return error
    return None


def test_calls_that_wait_for_a_pool_that_is_given_up_fail(tmp_path: Path) -> None:
    log = tmp_path / "log"
    pool = forked(w.FailingOnce, f"once:{log}", workers=1, max_restarts=1)
    pool.start()
    dying = pool.submit("die")
    waiting = [pool.submit("die") for _ in range(3)]
    assert isinstance(dying.exception(LONG), WorkerDied)
    for future in waiting:
        assert isinstance(future.exception(LONG), PoolBroken)
    pool.stop(LONG)


def test_a_call_that_takes_too_long_costs_its_worker() -> None:
    with forked(call_limit=0.1) as pool:
        with pytest.raises(CallTimedOut, match=r"arrive took longer than 0\.1 s"):
            pool.call("arrive", os.devnull)
        with pytest.raises(TimeoutError):
            pool.call("arrive", os.devnull)
        assert pool.call("scale", 3) == 3


def test_sigterm_to_a_worker_alone_retires_it_without_losing_a_call(tmp_path: Path) -> None:
    with forked(workers=1) as pool:
        (old,) = pool.pids
        arrived, gate = tmp_path / "arrived", tmp_path / "gate"
        running = pool.submit("wait_for", str(arrived), str(gate))
        until(arrived.exists)
        os.kill(old, signal.SIGTERM)
        queued = pool.submit("pid")
        gate.touch()
        assert running.result(LONG) == str(gate)
        queued.result(LONG)
        until(lambda: pool.pids not in ((), (old,)), "the replacement")
        assert pool.call("pid") != old
    assert pool.report is not None
    assert (pool.report.clean, pool.report.replaced) == (True, 1)


# Stops.


def test_a_stop_that_drains_finishes_all(tmp_path: Path) -> None:
    pool = forked()
    pool.start()
    futures = [pool.submit("slow_state", n) for n in range(20)]
    for pid in pool.pids:
        os.kill(pid, signal.SIGTERM)  # as systemd does, to all of the group
        os.kill(pid, signal.SIGINT)
    report = pool.stop(LONG)
    assert all(future.exception(LONG) is None for future in futures)
    assert report.clean
    assert report.finished + report.replaced <= 20


def test_a_stop_that_hands_back(tmp_path: Path) -> None:
    pool = forked(workers=1)
    pool.start()
    gate = tmp_path / "gate"
    running = pool.submit("wait_for", str(tmp_path / "arrived"), str(gate))
    queued = [pool.submit("scale", n) for n in range(3)]
    until((tmp_path / "arrived").exists)
    pool.request_stop(LONG, drain=False)
    gate.touch()
    report = pool.stop(LONG)
    assert running.result(LONG) == str(gate)
    assert [(job.name, job.fn, job.args) for job in report.handed_back] == [
        ("scale", "scale", (n,)) for n in range(3)
    ]
    wait(queued, LONG)
    assert all(future.cancelled() for future in queued)
    assert (report.finished, report.cut) == (1, ())


@pytest.mark.parametrize(
    ("method", "call", "how", "timeout"),
    [
        *((method, "arrive", "terminated", 4.0) for method in METHODS),
        *((method, "ignore_sigterm", "killed", 0.5) for method in METHODS),
        ("fork", "swallow", "killed", 0.5),
    ],
)
def test_the_deadline_ends_what_runs(
    method: Method, call: str, how: str, timeout: float, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    pool = forked(w.Worker, 1, str(log), workers=1, start_method=method, bootstrap_timeout=LONG)
    pool.start()
    arrived = tmp_path / "arrived"
    running = pool.submit(call, str(arrived))
    queued = pool.submit("pid")
    until(arrived.exists)
    report = pool.stop(timeout)
    assert [end.how for end in report.workers] == [how]
    assert [cut.name for cut in report.cut] == [call]
    assert [job.name for job in report.handed_back] == ["pid"]
    wait([queued], LONG)
    assert queued.cancelled()
    with pytest.raises(WorkerDied):
        running.result(LONG)
    # What could be left was left in order.
    assert ("stop" in log.read_text()) == (how == "terminated")
    assert children() == []


def test_what_finishes_at_the_last_moment_is_not_cut(tmp_path: Path) -> None:
    pool = forked(workers=1)
    pool.start()
    running = pool.submit("finish_late", str(tmp_path / "arrived"))
    until((tmp_path / "arrived").exists)
    report = pool.stop(4.0)
    assert running.result(LONG) == "made it"
    assert (report.cut, report.finished) == ((), 1)
    assert [end.how for end in report.workers] == ["terminated"]


@pytest.mark.parametrize("method", METHODS)
def test_a_stopped_worker_is_continued_and_told(method: Method) -> None:
    pool = forked(start_method=method, bootstrap_timeout=LONG)
    pool.start()
    for pid in pool.pids:
        os.kill(pid, signal.SIGSTOP)
    assert pool.stop(LONG).clean


def test_a_worker_whose_stop_fails_or_hangs_is_named(caplog: pytest.LogCaptureFixture) -> None:
    pool = forked(w.FailingStop, workers=1)
    pool.start()
    report = pool.stop(LONG)
    assert [(end.how, end.exit_code) for end in report.workers] == [("stopped", 1)]
    assert not report.clean
    assert "LookupError: it does not stop" in caplog.text
    pool = forked(w.HangingStop, workers=1)
    pool.start()
    report = pool.stop(0.3)
    assert [end.how for end in report.workers] == ["killed"]


def test_a_large_argument_to_a_stopped_worker_does_not_hold_the_stop_up() -> None:
    pool = forked(workers=1)
    pool.start()
    (pid,) = pool.pids
    os.kill(pid, signal.SIGSTOP)
    future = pool.submit("echo", b"x" * 5_000_000)
    report = pool.stop(LONG)
    assert len(future.result(LONG)) == 5_000_000
    assert report.clean


@pytest.mark.parametrize("drain", [True, False])
def test_a_signal_handler_stops_the_pool(drain: bool) -> None:
    for round_ in range(6):
        pool = forked()
        pool.start()
        reports: list[ProcessPoolReport] = []

        def stop(pool: ProcessPool = pool, reports: list[ProcessPoolReport] = reports) -> None:
            reports.append(pool.stop(LONG, drain=drain))

        futures = []
        with handled(signal.SIGALRM, stop):
            signal.setitimer(signal.ITIMER_REAL, 0.001 + 0.0037 * round_)
            while not reports:
                try:
                    futures.append(pool.submit("scale", 1))
                    futures[-1].exception(LONG)
                except (PoolStopped, CancelledError):
                    break
            until(reports.__len__, "the report")
        assert reports[0].workers[0].how == "stopped"
        wait(futures, LONG)
        assert sum(future.cancelled() for future in futures) == len(reports[0].handed_back)


def test_whom_a_future_calls_back_may_stop_the_pool(tmp_path: Path) -> None:
    pool = forked()
    pool.start()
    reports: list[ProcessPoolReport] = []
    gate = tmp_path / "gate"
    future = pool.submit("wait_for", str(tmp_path / "arrived"), str(gate))
    # One that is done already calls back here, behind its job.
    future.add_done_callback(lambda _: reports.append(pool.stop(LONG)))
    gate.touch()
    until(reports.__len__, "the report")
    assert reports[0].running == 1
    assert pool.stop(LONG).clean


def test_a_worker_has_workers_of_its_own() -> None:
    with forked(workers=1) as pool:
        assert pool.call(w.nested) == [2, 4, 6]


def test_a_stop_while_the_pool_starts(tmp_path: Path) -> None:
    pool = forked(w.FailingInit, "hang", stop_timeout=0.2)
    stopping = threading.Timer(0.05, pool.stop)
    stopping.start()
    with pytest.raises((PoolStopped, WorkerStartError)):
        pool.start()
    stopping.join()
    assert children() == []


def test_asyncio_starts_and_stops() -> None:
    async def main() -> ProcessPoolReport | None:
        async with forked() as pool:
            assert await pool.acall("scale", 2) == 2
            with pytest.raises(WorkerDied):
                await pool.acall("end", 1)
            await asyncio.to_thread(until, lambda: len(pool.pids) == 2)
        with pytest.raises(WorkerStartError):
            await forked(w.FailingInit, "raise").astart()
        return pool.report

    report = asyncio.run(main())
    assert report is not None
    assert report.replaced == 1


def test_a_fork_knows_nothing_of_the_pool() -> None:
    with forked() as pool:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                assert pool.stop(LONG) == ProcessPoolReport(0, (), (), (), 0)
                with pytest.raises(PoolStopped, match="fork"):
                    pool.submit("pid")
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        assert pool.call("scale", 2) == 2


def start_and_stop(method: Method) -> None:
    with forked(start_method=method, bootstrap_timeout=LONG) as pool:
        pool.call("scale", 1)


@pytest.mark.parametrize(("method", "times"), [("fork", 100), ("spawn", 5), ("forkserver", 10)])
def test_starts_and_stops_leave_nothing(method: Method, times: int) -> None:
    start_and_stop(method)  # what is made once
    before = (len(os.listdir("/proc/self/fd")), threading.active_count())
    for _ in range(times):
        start_and_stop(method)
    until(lambda: threading.active_count() == before[1], "the end of the threads")
    assert len(os.listdir("/proc/self/fd")) == before[0]
    assert children() == []
