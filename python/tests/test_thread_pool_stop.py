"""ThreadPool.stop where it is hard: signal handlers, jobs, forks, the end of the process (P61,
P62).
"""

import logging
import os
import signal
import threading
import time
from concurrent.futures import CancelledError, Future, wait

import pytest
from pools import LONG, Gate, handled, run_script, until

from exeunt import PoolStopped, StopEvent, ThreadPool, ThreadPoolReport


@pytest.mark.parametrize("drain", [True, False])
def test_a_signal_handler_stops_the_pool_wherever_the_main_thread_is(drain: bool) -> None:
    # At any bytecode: in `submit`, in a future's lock, in the pool's own stop.
    for round_ in range(150):
        pool = ThreadPool(2)
        reports: list[ThreadPoolReport] = []
        accepted: list[Future[int]] = []

        def stop(pool: ThreadPool = pool, reports: list[ThreadPoolReport] = reports) -> None:
            reports.append(pool.stop(LONG, drain=drain))

        with handled(signal.SIGALRM, stop):
            signal.setitimer(signal.ITIMER_REAL, 0.0002 + round_ * 0.00001)
            while not reports:
                try:
                    accepted.append(pool.submit(int, 1))
                    accepted[-1].result(LONG)
                except (PoolStopped, CancelledError):
                    pass
        wait(accepted, LONG)
        assert reports[0].still_running == ()
        assert sum(future.cancelled() for future in accepted) == len(reports[0].handed_back)
        assert pool.stop(LONG).still_running == ()


def test_a_signal_handler_stops_a_pool_that_is_being_stopped() -> None:
    gate = Gate()
    pool = ThreadPool(1)
    pool.submit(gate)
    gate.arrived(1)
    seen: list[ThreadPoolReport] = []

    def stop() -> None:
        seen.append(pool.stop(0))
        gate.open()

    with handled(signal.SIGUSR1, stop):
        threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        assert pool.stop(LONG).still_running == ()
    assert len(seen[0].still_running) == 1


def test_a_job_stops_its_own_pool() -> None:
    pool = ThreadPool(1)
    gate = Gate()

    def job() -> ThreadPoolReport:
        gate()
        return pool.stop(LONG)

    stopping = pool.submit(job)
    gate.arrived(1)
    behind = pool.submit(int, 5)
    gate.open()
    report = stopping.result(LONG)
    assert (report.still_running, report.handed_back, report.queued) == ((), (), 1)
    assert behind.result(LONG) == 5
    assert pool.stop(LONG).clean


def test_jobs_that_all_stop_the_pool_do_not_wait_for_each_other() -> None:
    pool = ThreadPool(4)
    barrier = threading.Barrier(4)

    def job() -> ThreadPoolReport:
        barrier.wait(LONG)
        return pool.stop(LONG)

    for future in [pool.submit(job) for _ in range(4)]:
        future.result(LONG)
    assert pool.stop(LONG).clean


def test_a_stop_event_wakes_all_who_wait_and_may_be_set_in_a_handler() -> None:
    event = StopEvent()
    assert not event.wait(0)
    woken = [threading.Thread(target=event.wait) for _ in range(5)]
    for thread in woken:
        thread.start()
    with handled(signal.SIGUSR1, event.set):
        threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        assert event.wait(LONG)
    for thread in woken:
        thread.join(LONG)
        assert not thread.is_alive()
    assert event.is_set()
    assert event.wait(0)
    assert "set" in repr(event)


def test_ctrl_c_while_the_queue_is_worked_off_hands_the_rest_back() -> None:
    gate = Gate()
    pool = ThreadPool(1)
    pool.submit(gate)
    gate.arrived(1)
    queued = pool.submit(int)
    queued.add_done_callback(lambda _: gate.open())
    threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt), pool:
        pass
    assert queued.cancelled()
    assert pool.report is not None
    assert pool.report.still_running == ()


def test_a_fork_knows_nothing_of_the_pool() -> None:
    with ThreadPool(1) as pool:
        assert pool.submit(int).result(LONG) == 0
        child = os.fork()
        if child == 0:
            status = 1
            try:
                assert pool.stop(LONG) == ThreadPoolReport(0, (), ())
                pool.request_stop()
                with pytest.raises(PoolStopped, match="fork"):
                    pool.submit(int)
                with ThreadPool(1) as own:
                    assert own.submit(int, 3).result(LONG) == 3
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        assert pool.submit(int, 2).result(LONG) == 2


@pytest.mark.parametrize("workers", [1, 2])
def test_a_fork_that_comes_back_from_a_job_ends(workers: int) -> None:
    def fork() -> int:
        return os.fork()

    with ThreadPool(workers) as pool:
        child = pool.submit(fork).result(LONG)
        deadline = time.monotonic() + LONG
        ended, status = os.waitpid(child, os.WNOHANG)
        while not ended and time.monotonic() < deadline:
            time.sleep(0.005)
            ended, status = os.waitpid(child, os.WNOHANG)
        if not ended:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        assert (ended, status) == (child, 0)
        assert pool.submit(int, 2).result(LONG) == 2


def test_no_room_for_a_thread_is_an_error_and_leaves_none(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[threading.Thread] = []
    start = threading.Thread.start

    def start_three(thread: threading.Thread) -> None:
        if len(started) == 3:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_three)
    with pytest.raises(RuntimeError, match="can't start"):
        ThreadPool(5)
    for thread in started:
        thread.join(LONG)
        assert not thread.is_alive()


def test_what_holds_a_stop_up_is_named_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    gate = Gate()
    pool = ThreadPool(1, name="resize")
    pool.submit(gate)
    gate.arrived(1)
    pool.submit(int)
    with caplog.at_level(logging.INFO, "exeunt"):
        pool.stop(0.01)
        until(lambda: caplog.messages, "the log")
        assert "Gate did not end in time: resize-1 has been in it for" in caplog.messages[0]
        gate.open()
        pool.stop(LONG)
        until(lambda: caplog.messages[1:] == ["resize: handed back 1 jobs"], "the log")


STUCK = """
import logging, sys, threading
from exeunt import ThreadPool
logging.basicConfig(format="%(message)s")
began = threading.Event()
def stuck():
    began.set()
    threading.Event().wait()
pool = ThreadPool(2, name="stuck", stop_timeout=1.0)
pool.submit(stuck)
began.wait()
for _ in range(3):
    pool.submit(print, "finished", flush=True)
if sys.argv[1] == "stop":
    print([job.worker for job in pool.stop().still_running], flush=True)
"""


@pytest.mark.parametrize("how", ["stop", "leave"])
def test_a_thread_that_never_returns_does_not_keep_the_process(how: str) -> None:
    ended = run_script(STUCK, how)
    assert ended.returncode == 0
    assert ended.stdout.count("finished") == 3
    assert ended.stderr.count("stuck did not end in time: stuck-") == 1
    assert "Traceback" not in ended.stderr
    assert ("['stuck-" in ended.stdout) == (how == "stop")


FINISHED = """
import sys, time
from exeunt import ThreadPool
pool = ThreadPool(2)
def job(n):
    time.sleep(0.005)
    sys.stdout.write(f"{n}\\n")
for n in range(20):
    pool.submit(job, n)
def waits(stop):
    stop.wait()
    sys.stdout.write("20\\n")
pool.submit(waits)
"""


def test_at_the_end_of_the_process_what_was_accepted_is_finished() -> None:
    ended = run_script(FINISHED)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert sorted(map(int, ended.stdout.split())) == list(range(21))
