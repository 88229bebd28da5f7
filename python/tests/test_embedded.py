"""P53 to P55, inside of a loop that somebody else runs; tasks, groups and resources."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
import uvloop

import exeunt


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


async def stubborn() -> None:
    for _ in range(40):
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            continue


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_loop_of_any_kind_runs_a_program(factory: Any) -> None:
    async def main(app: exeunt.App) -> str:
        await app.component("first", asyncio.sleep(0, 1), lambda value: steps.append(value))
        asyncio.get_running_loop().call_later(0.01, app.request_stop, "enough")
        await app.stop
        return type(asyncio.get_running_loop()).__module__

    steps: list[int] = []
    assert exeunt.run(main, loop_factory=factory).split(".")[0] in ("asyncio", "uvloop")
    assert steps == [1]


def test_a_program_runs_where_a_loop_runs() -> None:
    async def inner(app: exeunt.App) -> int:
        terminate()
        await app.stop.wait()
        return 5

    async def main() -> int:
        coroutine = inner  # a function, and a coroutine below
        assert await exeunt.arun(coroutine) == 5
        with pytest.raises(RuntimeError, match=r"await exeunt\.arun"):
            exeunt.run(stubborn())
        await exeunt.arun(asyncio.sleep(0, 5))
        return 7

    before = signal.getsignal(signal.SIGTERM)
    assert asyncio.run(main()) == 7
    assert signal.getsignal(signal.SIGTERM) is before
    report = exeunt.last_report()
    assert report is not None
    assert report.is_clean


def test_a_block_that_does_not_look_is_cut() -> None:
    async def main() -> None:
        with pytest.raises(exeunt.StopFailed) as failed:  # noqa: PT012
            async with exeunt.lifespan(grace=1.0):
                terminate()
                await asyncio.sleep(60)
        assert failed.value.report.verdict == "cut"
        # It was the block that was cancelled, and nothing behind it.
        await asyncio.sleep(0)

    asyncio.run(main())


def test_what_a_block_raises_leaves_it_behind_the_closes() -> None:
    steps: list[str] = []

    async def main() -> None:
        async with exeunt.lifespan() as app:
            await app.component("first", lambda: None, lambda: steps.append("closed"))
            raise ValueError("of the block")

    with pytest.raises(ValueError, match="of the block"):
        asyncio.run(main())
    assert steps == ["closed"]
    report = exeunt.last_report()
    assert report is not None
    assert report.exit_status == 1


def test_a_stopping_error_is_a_clean_end() -> None:
    async def main() -> None:
        async with exeunt.lifespan() as app:
            app.request_stop("enough")
            await app.component("late", lambda: pytest.fail("it started"))

    asyncio.run(main())
    report = exeunt.last_report()
    assert report is not None
    assert report.is_clean


def test_tasks_are_told_awaited_cut_and_named(caplog: pytest.LogCaptureFixture) -> None:
    async def polite(stop: asyncio.Event) -> None:
        await stop.wait()

    async def main() -> None:
        async with exeunt.TaskGroup("group", timeout=0.05) as group:
            told = group.spawn(polite(group.stop), name="polite")
            deaf = group.spawn(asyncio.sleep(60), name="deaf")
            rude = group.spawn(stubborn(), name="rude")
            await asyncio.sleep(0)
        assert told.done()
        assert not told.cancelled()
        assert deaf.cancelled()
        assert not rude.done()
        assert set(group.unfinished) == {"deaf", "rude"}
        rude.cancel()
        await asyncio.wait({rude}, timeout=0)

    with caplog.at_level(logging.WARNING, "exeunt"):
        asyncio.run(asyncio.wait_for(main(), 40))
    assert "rude swallowed its cancellation, and is left" in caplog.text


def test_a_group_of_a_program_is_told_by_its_stop() -> None:
    async def main(app: exeunt.App) -> tuple[str, ...]:
        async with exeunt.TaskGroup("group") as group:
            group.spawn(work(group.stop), name="work")
            app.request_stop("enough")
            await group.stop.wait()
        return group.unfinished

    async def work(stop: asyncio.Event) -> None:
        await stop.wait()

    assert exeunt.run(main) == ()


def test_spawned_tasks_are_kept_and_their_failures_told(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ValueError("of the task")

    async def main() -> None:
        exeunt.spawn(fail(), name="failing")
        await asyncio.sleep(0.01)

    asyncio.run(main())
    assert "task failing failed" in caplog.text
    with pytest.raises(RuntimeError, match="no program"):
        exeunt.current_app()
    with pytest.raises(SystemExit) as ended:
        exeunt.run(main)
    assert ended.value.code == 1


def test_resources_close_in_order_behind_those_who_use_them() -> None:
    steps: list[str] = []

    @asynccontextmanager
    async def first() -> AsyncIterator[str]:
        steps.append("first opens")
        yield "first"
        steps.append("first closes")

    @contextmanager
    def second() -> Iterator[str]:
        steps.append("second opens")
        yield "second"
        steps.append("second closes")

    async def use(name: str) -> None:
        await asyncio.sleep(0.02)
        steps.append(f"{name} is used")

    async def main(app: exeunt.App) -> None:
        assert await app.resource(first()) == "first"
        async with app.resource(second()) as name:
            app.spawn(use(name))

    exeunt.run(main)
    assert steps == [
        *("first opens", "second opens", "second is used", "second closes", "first closes"),
    ]


def test_a_start_whose_awaiter_has_gone_goes_on_and_is_closed() -> None:
    steps: list[str] = []
    begun = asyncio.Event()

    async def start() -> None:
        begun.set()
        await asyncio.sleep(0.05)
        steps.append("started")

    async def main(app: exeunt.App) -> None:
        starting = asyncio.ensure_future(
            app.component("slow", start, lambda: steps.append("closed"))
        )
        await begun.wait()
        starting.cancel()
        await asyncio.wait({starting})
        assert starting.cancelled()
        assert steps == []

    exeunt.run(main)
    assert steps == ["started", "closed"]


def test_a_resource_that_does_not_close_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    @asynccontextmanager
    async def hangs() -> AsyncIterator[None]:
        yield
        await asyncio.sleep(60)

    @asynccontextmanager
    async def fails() -> AsyncIterator[None]:
        yield
        raise ValueError("of the close")

    async def main(app: exeunt.App) -> None:
        async with app.resource(fails()), app.resource(hangs(), timeout=0.05):
            pass

    with pytest.raises(SystemExit):
        exeunt.run(main)
    assert "did not close in 0.05 s" in caplog.text
    assert "of the close" in caplog.text
