"""ThreadPool: jobs, futures, and what a stop does with them (P60 to P63)."""

import asyncio
import concurrent.futures
import functools
import gc
import math
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest
from pools import LONG, Gate, until

from exeunt import PoolStopped, StopEvent, ThreadPool


def test_jobs_are_done_and_their_results_come_back() -> None:
    with ThreadPool(3) as pool:
        futures = [pool.submit(pow, 2, n) for n in range(1000)]
        assert [future.result(LONG) for future in futures] == [2**n for n in range(1000)]
        assert list(pool.map(abs, [-1, 2, -3], timeout=LONG)) == [1, 2, 3]
    assert pool.report is not None
    assert pool.report.clean


def test_what_a_job_raises_is_in_its_future_and_its_worker_goes_on() -> None:
    class Odd(BaseException):
        pass

    def fail(kind: type[BaseException]) -> None:
        raise kind("so it is")

    with ThreadPool(1) as pool:
        for kind in (ValueError, Odd, SystemExit, KeyboardInterrupt):
            with pytest.raises(kind, match="so it is"):
                pool.submit(fail, kind).result(LONG)
        assert pool.submit(len, "four").result(LONG) == 4


def test_leaving_the_block_works_the_queue_off() -> None:
    done: list[int] = []
    with ThreadPool(2) as pool:
        for n in range(200):
            pool.submit(done.append, n)
    assert sorted(done) == list(range(200))


def test_leaving_the_block_by_an_exception_hands_the_queue_back() -> None:
    gate = Gate()
    pool = ThreadPool(1)
    held = pool.submit(gate, "held")
    gate.arrived(1)
    waiting = [pool.submit(gate, n) for n in range(3)]
    waiting[-1].add_done_callback(lambda _: gate.open())
    with pytest.raises(KeyError), pool:
        raise KeyError
    assert held.result(LONG) == "held"
    concurrent.futures.wait(waiting, LONG)
    assert all(future.cancelled() for future in waiting)
    assert pool.report is not None
    assert [job.args for job in pool.report.handed_back] == [(0,), (1,), (2,)]


def test_a_stop_that_hands_back_needs_no_free_worker() -> None:
    gate = Gate()
    pool = ThreadPool(2, name="resize")
    running = [pool.submit(gate, n) for n in range(2)]
    gate.arrived(2)
    queued = [pool.submit(gate, value=n) for n in range(5)]
    report = pool.stop(0.01, drain=False)
    assert [dict(job.kwargs) for job in report.handed_back] == [{"value": n} for n in range(5)]
    assert all(job.fn is gate and job.name.endswith("Gate") for job in report.handed_back)
    concurrent.futures.wait(queued, LONG)
    assert all(future.cancelled() for future in queued)
    assert concurrent.futures.wait(queued, timeout=LONG).not_done == set()
    assert {job.worker for job in report.still_running} == {"resize-1", "resize-2"}
    assert sorted(job.args for job in report.still_running) == [(0,), (1,)]
    assert all(job.age > 0 and " in wait" in job.where for job in report.still_running)
    assert not report.clean
    gate.open()
    assert [future.result(LONG) for future in running] == [0, 1]
    again = pool.stop(LONG)
    assert (again.finished, again.still_running) == (2, ())
    assert len(again.handed_back) == 5


def test_a_stop_that_drains_finishes_what_is_queued_and_takes_no_more() -> None:
    gate = Gate()
    pool = ThreadPool(1)
    first = pool.submit(gate, 1)
    gate.arrived(1)
    rest = [pool.submit(int, n) for n in range(10)]
    pool.request_stop()
    with pytest.raises(PoolStopped, match="is stopped"):
        pool.submit(int)
    assert not any(future.done() for future in rest)
    gate.open()
    report = pool.stop(LONG)
    assert first.result() == 1
    assert [future.result() for future in rest] == list(range(10))
    assert report.clean
    assert report.finished == 11


def test_what_the_deadline_leaves_in_the_queue_is_handed_back() -> None:
    gate = Gate()
    pool = ThreadPool(1)
    pool.submit(gate)
    gate.arrived(1)
    late = pool.submit(int)
    report = pool.stop(0.01)
    assert [job.name for job in report.handed_back] == ["builtins.int"]
    assert len(report.still_running) == 1
    concurrent.futures.wait([late], LONG)
    assert late.cancelled()
    gate.open()
    assert pool.stop(LONG).still_running == ()


def test_a_job_that_asks_for_it_is_told() -> None:
    began = threading.Semaphore(0)

    def plain(stop: StopEvent) -> bool:
        began.release()
        return stop.wait(LONG)

    def optional(a: int, stop: StopEvent | None = None) -> bool:
        assert stop is not None
        return plain(stop)

    def keyword(*args: int, stop: StopEvent) -> bool:
        return plain(stop)

    @functools.wraps(plain)
    def wrapped(*args: Any, **kwargs: Any) -> bool:
        return plain(*args, **kwargs)

    class Method:
        def job(self, stop: StopEvent) -> bool:
            return plain(stop)

        def __call__(self, stop: StopEvent) -> bool:
            return plain(stop)

    jobs: list[Callable[..., bool]] = [
        plain,
        wrapped,
        Method().job,
        Method(),
        functools.partial(optional, 1),
    ]
    pool = ThreadPool(7)
    futures = [pool.submit(job) for job in jobs]
    futures += [pool.submit(optional, 1), pool.submit(keyword, 1, 2)]
    for _ in futures:
        assert began.acquire(timeout=LONG)
    assert not pool.stop_event.is_set()
    assert pool.stop(LONG).clean
    assert [future.result(LONG) for future in futures] == [True] * 7


def test_a_stop_of_the_jobs_own_is_left_to_it() -> None:
    def crunch(start: int = 0, stop: int = 10) -> int:
        return stop - start

    with ThreadPool(1) as pool:
        assert pool.submit(crunch).result(LONG) == 10
        assert pool.submit(crunch, 1, 3).result(LONG) == 2
        assert pool.submit(crunch, stop=5).result(LONG) == 5
        assert pool.submit(functools.partial(crunch, stop=7)).result(LONG) == 7


def test_a_future_can_be_cancelled_until_its_job_is_begun() -> None:
    gate = Gate()
    with ThreadPool(1) as pool:
        running = pool.submit(gate)
        gate.arrived(1)
        queued = pool.submit(gate)
        called: list[Future[object]] = []
        queued.add_done_callback(called.append)
        assert running.running()
        assert not running.cancel()
        assert not queued.running()
        assert queued.cancel()
        assert queued.cancel()
        assert called == [queued]
        gate.open()
    assert pool.report is not None
    assert pool.report.clean


def test_names_of_jobs() -> None:
    gate = Gate()
    pool = ThreadPool(1, job_name=lambda fn, *args: f"picture {args[0]}")
    pool.submit(gate, 7)
    gate.arrived(1)
    pool.submit(functools.partial(gate), 8)
    report = pool.stop(0, drain=False)
    gate.open()
    assert [job.name for job in report.still_running] == ["picture 7"]
    assert [job.name for job in report.handed_back] == ["picture 8"]
    assert pool.stop(LONG).still_running == ()


def test_what_is_no_job_is_refused_at_once() -> None:
    async def coroutine() -> None: ...

    with ThreadPool(1) as pool:
        with pytest.raises(TypeError, match="is a coroutine function"):
            pool.submit(coroutine)
        with pytest.raises(TypeError, match="'five' is not"):
            pool.submit("five")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="workers=0"):
        ThreadPool(0)
    with pytest.raises(ValueError, match="not -1"):
        ThreadPool(1, stop_timeout=-1)


def test_asyncio_waits_for_jobs_and_for_the_stop() -> None:
    async def main() -> None:
        gate = Gate()
        pool = ThreadPool(2)
        loop = asyncio.get_running_loop()
        assert await loop.run_in_executor(pool, pow, 2, 5) == 32
        held = asyncio.wrap_future(pool.submit(gate, 5))
        await asyncio.to_thread(gate.arrived, 1)
        stopping = asyncio.create_task(pool.astop(LONG))
        await asyncio.sleep(0)
        assert pool.stop_event.is_set()
        assert not stopping.done()
        gate.open()
        assert (await stopping).clean
        assert await held == 5

        stuck = ThreadPool(1)
        gate = Gate()
        stuck.submit(gate)
        await asyncio.to_thread(gate.arrived, 1)
        report = await stuck.astop(0.01)
        assert len(report.still_running) == 1
        gate.open()
        assert (await stuck.astop(math.inf)).still_running == ()

    asyncio.run(main())


def test_a_pool_that_is_let_go_of_finishes_and_its_threads_end() -> None:
    done: list[int] = []
    pool = ThreadPool(2, name="let-go")
    for n in range(50):
        pool.submit(done.append, n)
    gone = weakref.ref(pool)
    del pool
    gc.collect()
    assert gone() is None
    until(lambda: not any(t.name.startswith("let-go") for t in threading.enumerate()))
    assert sorted(done) == list(range(50))


def test_a_hundred_pools_leave_no_thread() -> None:
    before = threading.active_count()
    for _ in range(100):
        with ThreadPool(3) as pool:
            pool.submit(int)
    until(lambda: threading.active_count() == before, "the end of the threads")


def test_a_result_is_not_kept_by_the_worker() -> None:
    class Large:
        pass

    with ThreadPool(1) as pool:
        future = pool.submit(Large)
        kept = weakref.ref(future.result(LONG))
        del future
        until(lambda: kept() is None, "the end of the result")


def test_what_a_job_raises_keeps_nothing_alive() -> None:
    def fail() -> None:
        raise LookupError

    gc.disable()
    try:
        with ThreadPool(1) as pool:
            future = pool.submit(fail)
            assert isinstance(future.exception(LONG), LookupError)
            kept = weakref.ref(future)
            del future
            until(lambda: kept() is None, "the end of the future")
    finally:
        gc.enable()


def test_stops_from_everywhere_at_once_agree() -> None:
    for _ in range(8):
        pool = ThreadPool(3)
        accepted: list[Future[int]] = []
        begun = threading.Barrier(5)

        def submit(
            pool: ThreadPool = pool,
            accepted: list[Future[int]] = accepted,
            begun: threading.Barrier = begun,
        ) -> None:
            begun.wait(LONG)
            while True:
                try:
                    accepted.append(pool.submit(int, 1))
                except PoolStopped:
                    return

        def stop(pool: ThreadPool = pool, begun: threading.Barrier = begun) -> None:
            begun.wait(LONG)
            time.sleep(0.001)
            pool.stop(LONG, drain=False)

        threads = [threading.Thread(target=each) for each in (submit, submit, submit, stop)]
        for thread in threads:
            thread.start()
        begun.wait(LONG)
        for thread in threads:
            thread.join(LONG)
        report = pool.stop(LONG)
        assert not concurrent.futures.wait(accepted, LONG).not_done
        assert sum(future.cancelled() for future in accepted) == len(report.handed_back)
