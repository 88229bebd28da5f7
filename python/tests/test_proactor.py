"""P59: what the proactor loop says while it closes, with contexts as it makes them."""

import asyncio
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from exeunt._proactor import quiet_while_closing, suppress_in


class WindowsError_(ConnectionResetError):  # noqa: N801, N818 - as Windows makes it
    def __init__(self, number: int) -> None:
        super().__init__(22, "of Windows")
        self.winerror = number


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.mark.parametrize(("number", "suppressed"), [(995, True), (6, True), (64, False)])
def test_only_two_errors_are_suppressed(
    loop: asyncio.AbstractEventLoop, number: int, suppressed: bool
) -> None:
    heard: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: heard.append(context))
    suppress_in(loop)
    context = {"message": "on the self pipe", "exception": WindowsError_(number), "loop": loop}
    loop.call_exception_handler(context)
    assert heard == ([] if suppressed else [context])


def test_the_rest_goes_to_the_loop_where_nobody_handles_it(
    loop: asyncio.AbstractEventLoop, caplog: pytest.LogCaptureFixture
) -> None:
    suppress_in(loop)
    loop.call_exception_handler({"message": "without an exception"})
    # The same numbers mean something else here: ENXIO is 6.
    loop.call_exception_handler({"message": "of this system", "exception": OSError(6, "ENXIO")})
    loop.call_exception_handler({"message": "in closing", "exception": WindowsError_(995)})
    assert "without an exception" in caplog.text
    assert "of this system" in caplog.text
    assert "in closing" not in caplog.text


@pytest.mark.skipif(sys.platform == "win32", reason="of other systems")
def test_nothing_is_done_elsewhere(loop: asyncio.AbstractEventLoop) -> None:
    quiet_while_closing(loop)
    assert loop.get_exception_handler() is None
