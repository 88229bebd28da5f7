"""Timers of a Manager."""

import gc
import threading
import time
import weakref

import pytest

from exeunt.mongoose import Manager, Timer

PATIENCE_S = 30.0


def turn_until(manager: Manager, so: object) -> None:
    """Polls until a list that is filled by a callback is not empty."""
    deadline = time.monotonic() + PATIENCE_S
    while not so:
        assert time.monotonic() < deadline
        manager.poll(100)


def test_a_timer_fires_once_and_is_inactive_then() -> None:
    fired: list[bool] = []
    with Manager() as manager:
        timer = manager.timer_add(1, lambda: fired.append(timer.active))
        states = [timer.active]
        turn_until(manager, fired)
        states.append(timer.active)
        manager.poll(5)
        assert states == [True, False]
        assert fired == [False]


@pytest.mark.parametrize("run_now", [False, True])
def test_what_is_due_at_once_fires_in_the_next_poll_and_only_there(run_now: bool) -> None:
    fired: list[int] = []
    with Manager() as manager:
        manager.timer_add(600_000 if run_now else 0, lambda: fired.append(1), run_now=run_now)
        assert fired == []
        manager.poll(0)
        manager.poll(0)
        assert fired == [1]


def test_a_repeating_timer_goes_on_though_nobody_keeps_it() -> None:
    fired: list[float] = []
    with Manager() as manager:
        manager.timer_add(0.5, lambda: fired.append(time.monotonic()), repeat=True)
        gc.collect()
        while len(fired) < 4:
            manager.poll(-1)


def test_a_timer_may_cancel_itself_and_others() -> None:
    fired: list[str] = []
    timers: list[Timer] = []

    def first() -> None:
        fired.append("first")
        for timer in timers:
            timer.cancel()
            timer.cancel()

    with Manager() as manager:
        timers += [manager.timer_add(0, first, repeat=True)]
        timers += [manager.timer_add(0, lambda: fired.append("second"), repeat=True)]
        for _ in range(3):
            manager.poll(0)
        assert fired == ["first"]
        assert not any(timer.active for timer in timers)


def test_what_a_timer_raises_goes_to_the_error_handler_and_it_fires_on() -> None:
    errors: list[Exception] = []

    def fails() -> None:
        raise ValueError(len(errors))

    with Manager(error_handler=errors.append) as manager:
        manager.timer_add(0, fails, repeat=True)
        for _ in range(3):
            manager.poll(0)
    assert [error.args for error in errors] == [(0,), (1,), (2,)]


def test_errors_without_a_handler_are_on_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    def fails() -> None:
        raise ValueError("of the timer")

    def fails_too(error: Exception) -> None:
        raise KeyError("of the handler")

    with Manager() as manager:
        manager.timer_add(0, fails)
        manager.poll(0)
    said = capfd.readouterr().err
    assert "Traceback" in said
    assert "ValueError: of the timer" in said
    with Manager(error_handler=fails_too) as manager:
        manager.timer_add(0, fails)
        manager.poll(0)
    said = capfd.readouterr().err
    assert "ValueError: of the timer" in said
    assert "KeyError: 'of the handler'" in said


def test_nothing_fires_behind_the_close() -> None:
    fired: list[int] = []
    manager = Manager()
    timer = manager.timer_add(0, lambda: fired.append(1), repeat=True)
    manager.close()
    assert not timer.active
    timer.cancel()
    assert fired == []


def test_a_callback_is_let_go_of_when_it_will_not_be_called() -> None:
    class Callback:
        def __call__(self) -> None:
            pass

    manager = Manager()
    known: list[weakref.ref[Callback]] = []

    def add(repeat: bool = False) -> Timer:
        callback = Callback()
        known.append(weakref.ref(callback))
        return manager.timer_add(0, callback, repeat=repeat)

    add()
    manager.poll(0)
    assert known[0]() is None
    timer = add(repeat=True)
    manager.poll(0)
    assert known[1]() is not None
    timer.cancel()
    assert known[1]() is None
    add(repeat=True)
    manager.close()
    assert known[2]() is None


def test_a_due_timer_wakes_a_poll_without_limit_and_another_thread_may_add_and_cancel_it() -> None:
    fired: list[threading.Thread] = []
    with Manager() as manager:
        thread = threading.Thread(target=lambda: turn_until(manager, fired))
        thread.start()
        far = manager.timer_add(600_000, lambda: fired.append(threading.main_thread()))
        manager.timer_add(1, lambda: fired.append(threading.current_thread()))
        far.cancel()
        thread.join(PATIENCE_S)
        assert fired == [thread]


@pytest.mark.parametrize(
    ("milliseconds", "error"),
    [
        (-1, OverflowError),
        (1e30, OverflowError),
        (10**400, OverflowError),
        (float("inf"), OverflowError),
        (float("nan"), ValueError),
        ("1", TypeError),
        (None, TypeError),
    ],
)
def test_periods_that_are_none_are_refused(milliseconds: object, error: type[Exception]) -> None:
    with Manager() as manager, pytest.raises(error):
        manager.timer_add(milliseconds, print)  # type: ignore[arg-type]
