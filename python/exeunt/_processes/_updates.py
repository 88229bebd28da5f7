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

    def has_failed(self, who: object) -> bool:
        """Whether it has failed, and `who` need not try it any more: whoever asked for it is told,
        and those who come later are to live.
        """
        return self._error is not None and id(who) not in self._waiting


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

    def next(self, who: object, behind: int) -> Update | None:
        """The first that came after number `behind`, and that `who` has still to do."""
        return min(
            (
                each
                for each in list(self._log.values())
                if each.number > behind and not each.has_failed(who)
            ),
            key=lambda each: each.number,
            default=None,
        )

    def begin(self, who: object) -> int:
        """Behind which a new worker begins; those before it does not need."""
        log = [each for each in list(self._log.values()) if not each.has_failed(who)]
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
        done = sorted(
            (each for each in list(self._log.values()) if each.is_done),
            key=lambda each: each.number,
        )
        failed = [each for each in done if each.has_failed(None)]
        superseded = [each for each in done if each not in failed][:-1]
        for each in failed + (superseded if self._keep == "last" else []):
            self._log.pop(each.number, None)
