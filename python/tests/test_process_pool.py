"""ProcessPool: calls, updates, results and errors (P64 to P66)."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pool_workers as w
import pytest
from pools import LONG, Gate, until

from exeunt import PoolStopped, ProcessPool, RemoteError, WorkerError

Method = Literal["fork", "forkserver", "spawn"]
METHODS: tuple[Method, ...] = ("fork", "forkserver", "spawn")


@pytest.fixture(scope="module", params=METHODS)
def pool(request: pytest.FixtureRequest) -> Iterator[ProcessPool]:
    """One pool for all that only calls."""
    with ProcessPool(
        w.Worker, (3,), workers=2, start_method=request.param, bootstrap_timeout=LONG, name="w"
    ) as pool:
        yield pool
    assert pool.report is not None
    assert pool.report.clean


def test_methods_and_functions_are_called(pool: ProcessPool) -> None:
    assert pool.call("scale", 5) == 15
    assert pool.submit("echo", value=b"x" * 3_000_000).result(LONG) == b"x" * 3_000_000
    assert pool.call(w.double, 4) == 8
    assert list(pool.map("scale", range(20), timeout=LONG)) == [3 * n for n in range(20)]
    assert pool.call("pid") in pool.pids
    assert "2 of 2 workers ready" in repr(pool)


def test_a_thousand_calls(pool: ProcessPool) -> None:
    futures = [pool.submit("scale", n) for n in range(1000)]
    assert [future.result(LONG) for future in futures] == [3 * n for n in range(1000)]


def test_what_a_call_raises_comes_back_with_where_it_was_raised(pool: ProcessPool) -> None:
    with pytest.raises(LookupError, match="such is life") as caught:
        pool.call("fail", "such is life")
    assert "in fail\n    raise LookupError" in str(caught.value.__cause__)
    with pytest.raises(AttributeError, match="no_such_method"):
        pool.call("no_such_method")


@pytest.mark.parametrize(
    ("kind", "name", "text"),
    [
        ("unpicklable", "ValueError", "ValueError: it has a lock"),
        ("one-way", "OneWay", "OneWay: 1"),
        ("exit", "SystemExit", "SystemExit: 7"),
        ("interrupt", "KeyboardInterrupt", "KeyboardInterrupt"),
    ],
)
def test_what_cannot_be_sent_back_is_told(
    pool: ProcessPool, kind: str, name: str, text: str
) -> None:
    before = set(pool.pids)
    with pytest.raises(RemoteError) as caught:
        pool.call("fail_with", kind)
    assert (caught.value.kind, str(caught.value)) == (name, text)
    assert "in fail_with" in caught.value.traceback
    with pytest.raises(RemoteError, match="what the call has returned cannot be sent"):
        pool.call("unpicklable")
    assert set(pool.pids) == before


@pytest.mark.parametrize("how", ["returned", "raised"])
def test_what_ends_who_receives_it_ends_nobody(pool: ProcessPool, how: str) -> None:
    for _ in range(3):
        with pytest.raises(RemoteError):
            pool.submit("treacherous", how).result(LONG)
    assert "2 of 2 workers ready" in repr(pool)


def test_a_fork_of_a_worker_does_not_speak_for_it(pool: ProcessPool) -> None:
    for _ in range(3):
        # It finds nobody to answer to.
        assert pool.submit("fork").result(LONG) == -signal.SIGKILL
        assert pool.call("scale", 2) == 6


def test_what_cannot_be_sent_is_refused_at_once(pool: ProcessPool) -> None:
    with pytest.raises(TypeError, match="echo cannot be sent to a worker process"):
        pool.submit("echo", Gate())
    with pytest.raises(TypeError, match="cannot be sent to a worker process"):
        pool.submit(lambda: 1)
    with pytest.raises(TypeError, match="17 is not"):
        pool.submit(17)  # type: ignore[call-overload]


def test_workers_have_nothing_that_is_not_theirs(pool: ProcessPool) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    found = pool.call(w.dispositions)
    assert found["mask"] == sorted(before)
    assert found["wakeup"] == -1
    assert found["child"] == "[true, true, true]\n"
    assert found["stdin"] == ""
    # Its own end of its own channel: as long as it had another's, that would not be seen to end.
    assert found["sockets"] - (w.sockets() if pool._method == "fork" else 0) <= 1


def test_asyncio_calls_and_updates(pool: ProcessPool) -> None:
    async def main() -> list[Any]:
        results = await asyncio.gather(*(pool.acall("scale", n) for n in range(10)))
        loop = asyncio.get_running_loop()
        assert await loop.run_in_executor(pool, w.double, 21) == 42
        await pool.aupdate(3)
        return results

    assert asyncio.run(main()) == [3 * n for n in range(10)]


def test_a_fork_does_not_write_to_the_loop_of_its_parent() -> None:
    async def main() -> dict[str, Any]:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR2, lambda: None)
        async with ProcessPool(workers=1, start_method="fork") as pool:
            found: dict[str, Any] = await pool.acall(w.dispositions)
            return found

    assert asyncio.run(main())["wakeup"] == -1


@pytest.mark.parametrize("method", METHODS)
def test_start_and_stop_are_called_in_each_worker(method: Method, tmp_path: Path) -> None:
    log = tmp_path / "log"
    pool = ProcessPool(
        w.Worker, (1, str(log)), workers=2, start_method=method, bootstrap_timeout=LONG
    )
    with pytest.raises(PoolStopped, match="has not been started"):
        pool.submit("pid")
    pool.start()
    pool.start()
    pids = sorted(map(str, pool.pids))
    assert sorted(log.read_text().split("\n")[:-1]) == [f"start {pid}" for pid in pids]
    report = pool.stop(LONG)
    assert report.clean
    assert [(end.how, end.exit_code) for end in report.workers] == [("stopped", 0)] * 2
    assert sorted(log.read_text().split("\n")[2:-1]) == [f"stop {pid}" for pid in pids]
    with pytest.raises(PoolStopped, match="is stopped"):
        pool.submit("pid")
    assert pool.stop() == report
    pool.start()
    assert pool.call("scale", 2) == 2
    assert pool.stop(LONG).clean


def test_an_update_reaches_every_worker_and_their_replacements() -> None:
    with ProcessPool(w.Worker, workers=2, start_method="fork") as pool:
        for factor in (2, 3):
            pool.update(factor)
        assert _states(pool) == {(3, (2, 3))}
        _replace_all(pool)
        assert _states(pool) == {(3, (3,))}
        with pytest.raises(ValueError, match="no factor: -1"):
            pool.update(-1)


def test_all_updates_reach_a_replacement_if_they_are_kept() -> None:
    with ProcessPool(w.Worker, workers=2, start_method="fork", keep_updates="all") as pool:
        for factor in range(5):
            pool.update(factor)
        _replace_all(pool)
        assert _states(pool) == {(4, (0, 1, 2, 3, 4))}


@pytest.mark.parametrize(("keep", "updates"), [("last", (3,)), ("all", (2, 3))])
def test_an_update_that_failed_does_not_keep_replacements_from_being_ready(
    keep: Literal["last", "all"], updates: tuple[int, ...]
) -> None:
    with ProcessPool(w.Worker, workers=2, start_method="fork", keep_updates=keep) as pool:
        for factor in (2, 3, -1):
            failed = pool.submit_update(factor).exception(LONG)
            assert isinstance(failed, ValueError) == (factor < 0)
        _replace_all(pool)
        assert _states(pool) == {(3, updates)}
        with pytest.raises(ValueError, match="no factor: -2"):
            pool.update(-2)
        pool.update(4)
        assert _states(pool) == {(4, (*updates, 4))}


def test_an_update_comes_before_the_calls_that_are_submitted_after_it() -> None:
    with ProcessPool(w.Worker, workers=3, start_method="fork") as pool:
        for factor in range(1, 30):
            done = pool.submit_update(factor)
            done.result(LONG)
            assert set(pool.map("scale", [1] * 6)) == {factor}


def test_updates_during_deaths_reach_all() -> None:
    with ProcessPool(w.Worker, workers=2, start_method="fork", max_restarts=100) as pool:
        for factor in range(1, 8):
            dying = pool.submit("end", 1)
            pool.update(factor)
            assert isinstance(dying.exception(LONG), WorkerError)
        until(lambda: len(pool.pids) == 2, "the replacement")
        assert {state[0] for state in _states(pool)} == {7}


def _states(pool: ProcessPool) -> set[tuple[int, tuple[int, ...]]]:
    states = set()
    asked: set[int] = set()
    while not asked >= set(pool.pids):
        for pid, factor, updates in pool.map("slow_state", range(4)):
            asked.add(pid)
            states.add((factor, tuple(updates)))
    return states


def _replace_all(pool: ProcessPool) -> None:
    before = set(pool.pids)
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    until(lambda: len(pool.pids) == 2 and not before & set(pool.pids), "the replacements")


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="workers=0"):
        ProcessPool(workers=0)
    with pytest.raises(ValueError, match=r"ready_timeout .* not -1"):
        ProcessPool(ready_timeout=-1)
    with pytest.raises(ValueError, match="not 'thread'"):
        ProcessPool(start_method="thread")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="12 is not"):
        ProcessPool(12)  # type: ignore[arg-type]
    unpicklable = ProcessPool(lambda: None, start_method="spawn")
    with pytest.raises(TypeError, match="cannot be sent to worker processes"):
        unpicklable.start()


def test_the_interpreter_s_options_are_the_workers_own() -> None:
    with ProcessPool(workers=1, start_method="spawn", bootstrap_timeout=LONG) as pool:
        assert pool.call(_options) == (sys.flags.dev_mode, sys.warnoptions)


def _options() -> tuple[bool, list[str]]:
    return sys.flags.dev_mode, sys.warnoptions
