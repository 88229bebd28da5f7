"""P50 to P52: `DelayedKeyboardInterrupt`."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

import pytest

from exeunt import DelayedKeyboardInterrupt, _held

Heard = list[int]


@pytest.fixture
def heard() -> Iterator[Heard]:
    """Handlers of the program's own for both signals, and what they heard."""
    heard: Heard = []

    def hear(number: int, _: FrameType | None) -> None:
        heard.append(number)

    before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
    yield heard
    for number, handler in before.items():
        signal.signal(number, handler)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def send(number: int) -> None:
    os.kill(os.getpid(), number)


def test_the_interrupt_comes_when_the_block_is_left() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012
        with DelayedKeyboardInterrupt():
            send(signal.SIGINT)
            done.append("in the block")
        done.append("behind the block")
    assert done == ["in the block"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize("times", [1, 2])
def test_an_interrupt_while_the_block_is_entered_is_held(
    times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    strike_while_entering(monkeypatch, times)
    done = []
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012
        with DelayedKeyboardInterrupt():
            done.append("in the block")
        done.append("behind the block")
    assert done == ["in the block"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_of_a_handler_that_was_there_is_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def hear(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt("of the program's own")

    strike_while_entering(monkeypatch, 1)
    before = signal.signal(signal.SIGINT, hear)
    try:
        with pytest.raises(KeyboardInterrupt, match="of the program's own"):
            DelayedKeyboardInterrupt().__enter__()
        assert signal.getsignal(signal.SIGINT) is hear
        assert not _held.is_blocking()
    finally:
        signal.signal(signal.SIGINT, before)


def strike_while_entering(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """So many interrupts come before the block has handlers of its own."""
    install, left = _held._install, times

    def struck(number: int) -> None:
        nonlocal left
        if left:
            left -= 1
            send(signal.SIGINT)
        install(number)

    monkeypatch.setattr(_held, "_install", struck)


def test_all_signals_are_kept_in_their_order(heard: Heard) -> None:
    sent = [signal.SIGTERM, signal.SIGINT, signal.SIGTERM, signal.SIGTERM]
    with DelayedKeyboardInterrupt():
        for number in sent:
            send(number)
        assert heard == []
    assert heard == sent


def test_a_handler_that_raises_keeps_none_from_the_others(heard: Heard) -> None:
    def fail(number: int, _: FrameType | None) -> None:
        heard.append(-number)
        raise OSError("the first")

    signal.signal(signal.SIGINT, fail)
    with pytest.raises(OSError, match="the first"), DelayedKeyboardInterrupt():  # noqa: PT012
        send(signal.SIGINT)
        send(signal.SIGTERM)
    assert heard == [-signal.SIGINT, signal.SIGTERM]
    assert signal.getsignal(signal.SIGINT) is fail


def test_what_is_ignored_stays_ignored(heard: Heard) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with DelayedKeyboardInterrupt():
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        send(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    assert heard == []


def test_blocks_nest_and_are_used_again(heard: Heard) -> None:
    block = DelayedKeyboardInterrupt()
    for _ in range(2):
        with block:
            with block, DelayedKeyboardInterrupt():
                send(signal.SIGTERM)
            assert heard == []
        assert heard == [signal.SIGTERM]
        heard.clear()


def test_an_exception_of_the_block_is_not_masked() -> None:
    seen = []
    with pytest.raises(KeyboardInterrupt) as caught:  # noqa: PT012
        try:
            with DelayedKeyboardInterrupt():
                send(signal.SIGINT)
                raise ValueError("of the block")
        except ValueError:
            seen.append("of the block")
            # The signal has not been forgotten: it comes now.
            until(lambda: False)
    assert seen == ["of the block"]
    assert isinstance(caught.value.__context__, ValueError)


def test_an_exception_of_the_block_is_seen_before_the_handlers(heard: Heard) -> None:
    with pytest.raises(ValueError, match="of the block"), DelayedKeyboardInterrupt():  # noqa: PT012
        send(signal.SIGTERM)
        raise ValueError("of the block")
    until(lambda: heard == [signal.SIGTERM])


def test_a_handler_that_the_block_installs_stays(heard: Heard) -> None:
    def theirs(_: int, __: FrameType | None) -> None:
        heard.append(0)

    with DelayedKeyboardInterrupt():
        signal.signal(signal.SIGINT, theirs)
    assert signal.getsignal(signal.SIGINT) is theirs


def test_a_block_in_a_thread_outlasts_that_of_the_main_thread(heard: Heard) -> None:
    entered, leave = threading.Event(), threading.Event()

    def work() -> None:
        with DelayedKeyboardInterrupt():
            entered.set()
            leave.wait(20)

    thread = threading.Thread(target=work)
    with DelayedKeyboardInterrupt():
        thread.start()
        entered.wait(20)
        send(signal.SIGINT)
    send(signal.SIGTERM)
    assert heard == []
    leave.set()
    thread.join()
    until(lambda: heard == [signal.SIGINT, signal.SIGTERM])
    until(lambda: signal.getsignal(signal.SIGINT).__name__ == "hear")  # type: ignore[union-attr]


def test_what_a_loop_does_on_a_signal_waits_too() -> None:
    async def main() -> list[str]:
        done: list[str] = []
        loop = asyncio.get_running_loop()
        told, stopped = asyncio.Event(), asyncio.Event()

        def tell() -> None:
            done.append("told")
            told.set()

        def end() -> None:
            done.append("stopped")
            stopped.set()

        loop.add_signal_handler(signal.SIGTERM, end)
        loop.add_signal_handler(signal.SIGUSR1, tell)
        async with DelayedKeyboardInterrupt():
            async with DelayedKeyboardInterrupt():
                send(signal.SIGTERM)
            send(signal.SIGUSR1)
            await told.wait()
            assert done == ["told"]
        await stopped.wait()
        return done

    assert asyncio.run(asyncio.wait_for(main(), 20)) == ["told", "stopped"]


def test_the_loop_own_interrupt_waits() -> None:
    done = []

    async def main() -> None:
        async with DelayedKeyboardInterrupt():
            send(signal.SIGINT)
            await asyncio.sleep(0.01)
            done.append("in the block")
        await asyncio.sleep(20)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    assert done == ["in the block"]
