"""Pools as part of a lifecycle: counted, stopped by its drain, cut at its deadline (P63)."""

import threading
import time
from concurrent.futures import wait
from pathlib import Path

import pool_workers as w
import pytest
from pools import LONG, Gate, until

from exeunt import Lifecycle, PoolStopped, ProcessPool, Report, ThreadPool, WorkerDied


def closed(lifecycle: Lifecycle) -> Report:
    """The report of a stop."""
    lifecycle.request_stop("the test wants it")
    return lifecycle.close()


def test_the_drain_finishes_the_queue_of_threads() -> None:
    gate = Gate()
    lifecycle = Lifecycle(grace=LONG, signals=())
    lifecycle.ready()
    pool = ThreadPool(1, name="resize", lifecycle=lifecycle)
    futures = [pool.submit(gate, n) for n in range(5)]
    gate.arrived(1)
    lifecycle.request_stop("the test wants it")
    until(pool.stop_event.is_set, "the stop of the pool")
    with pytest.raises(PoolStopped):
        pool.submit(gate)
    gate.open()
    report = lifecycle.close()
    assert [future.result(LONG) for future in futures] == list(range(5))
    assert report.verdict == "clean"


def test_the_drain_hands_the_queue_of_threads_back() -> None:
    gate = Gate()
    lifecycle = Lifecycle(grace=LONG, signals=())
    pool = ThreadPool(1, lifecycle=lifecycle, hand_back=True)
    running = pool.submit(gate, 1)
    gate.arrived(1)
    queued = [pool.submit(gate, n) for n in range(3)]
    queued[-1].add_done_callback(lambda _: gate.open())
    assert closed(lifecycle).verdict == "clean"
    assert running.result(LONG) == 1
    wait(queued, LONG)
    assert all(future.cancelled() for future in queued)
    assert len(pool.stop(LONG).handed_back) == 3


def test_the_drain_deadline_cuts_what_is_queued() -> None:
    gate = Gate()
    lifecycle = Lifecycle(grace=0.5, signals=())
    pool = ThreadPool(1, name="resize", lifecycle=lifecycle)
    pool.submit(gate, 1)
    gate.arrived(1)
    pool.submit(time.sleep, 0)
    report = closed(lifecycle)
    gate.open()
    assert report.exit_status == 3
    assert "time.sleep" in str(report)
    assert report.left_behind_count == 1
    pool.stop(LONG)


def test_the_drain_finishes_the_calls_of_processes_and_the_deadline_cuts_them(
    tmp_path: Path,
) -> None:
    lifecycle = Lifecycle(grace=LONG, signals=())
    pool = ProcessPool(w.Worker, workers=2, start_method="fork", lifecycle=lifecycle)
    pool.start()
    futures = [pool.submit("slow_state", n) for n in range(10)]
    assert closed(lifecycle).verdict == "clean"
    assert all(future.exception(LONG) is None for future in futures)
    assert pool.stop(LONG).clean

    lifecycle = Lifecycle(grace=1.0, signals=())
    pool = ProcessPool(w.Worker, workers=1, start_method="fork", lifecycle=lifecycle)
    pool.start()
    arrived = tmp_path / "arrived"
    running = pool.submit("arrive", str(arrived))
    queued = pool.submit("pid")
    until(arrived.exists)
    report = closed(lifecycle)
    assert isinstance(running.exception(LONG), WorkerDied)
    wait([queued], LONG)
    assert queued.cancelled()
    assert report.exit_status == 3
    assert "arrive" in str(report)
    assert "pid" in str(report)


def test_nothing_is_left_of_a_pool_that_ends_before_its_lifecycle() -> None:
    with Lifecycle(signals=()) as lifecycle:
        before = threading.active_count()
        for _ in range(20):
            with ThreadPool(2, lifecycle=lifecycle) as pool:
                pool.submit(int)
                pool.submit(int).cancel()
        until(lambda: threading.active_count() == before, "the end of the threads")
    assert lifecycle.report is not None
    assert lifecycle.report.verdict == "clean"
