"""Updates: calls that every worker does, also those that come later."""

import itertools
from collections.abc import Iterable
from functools import partial
from typing import Literal

from .._futures import JobFuture, Settler


class Update:
    """One of them, and who has still to do it."""

    def __init__(
        self, number: int, payload: bytes, whom: Iterable[object], settler: Settler
    ) -> None:
        self.number = number
        self.payload = payload
        self.future: JobFuture[None] = JobFuture()
        self._waiting = {id(each): each for each in whom}
        self._unsettled = [True]
        self._error: BaseException | None = None
        self._settler = settler

    def done(self, who: object, error: BaseException | None = None) -> None:
        """`who` has done it, or will never have to."""
        if error is not None and self._error is None:
            self._error = error
        self._waiting.pop(id(who), None)
        if self._waiting:
            return
        try:
            self._unsettled.pop()
        except IndexError:
            return  # Whoever was first has settled it.
        if self._error is None:
            self._settler.later(partial(self.future.set_result, None))
        else:
            self._settler.later(partial(self.future.set_exception, self._error))

    @property
    def is_done(self) -> bool:
        return not self._unsettled


class Updates:
    """All that there were, as far as a worker may still need them."""

    def __init__(self, keep: Literal["last", "all"], settler: Settler) -> None:
        self._keep = keep
        self._settler = settler
        self._numbers = itertools.count(1)
        self._log: dict[int, Update] = {}

    def publish(self, payload: bytes, whom: Iterable[object]) -> Update:
        update = Update(next(self._numbers), payload, whom, self._settler)
        self._log[update.number] = update
        self._forget()
        return update

    def next(self, behind: int) -> Update | None:
        """The first that came after number `behind`."""
        return min(
            (each for each in list(self._log.values()) if each.number > behind),
            key=lambda each: each.number,
            default=None,
        )

    def begin(self, who: object) -> int:
        """Behind which a new worker begins; those before it does not need."""
        log = list(self._log.values())
        if self._keep == "all" or not log:
            return 0
        last = max(each.number for each in log)
        for update in log:
            if update.number < last:
                update.done(who)
        return last - 1

    def leave(self, who: object) -> None:
        """`who` does no more of them."""
        for update in list(self._log.values()):
            update.done(who)

    def _forget(self) -> None:
        if self._keep == "last":
            done = sorted(each.number for each in list(self._log.values()) if each.is_done)
            for number in done[:-1]:
                self._log.pop(number, None)
