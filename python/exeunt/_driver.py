"""What a loop does as the phases of its program's end come."""

import asyncio
import logging
from collections.abc import Callable

from ._app import App
from ._lifecycle import Phase
from ._readers import add_reader, remove_reader

__all__ = ["Driver"]

_log = logging.getLogger("exeunt")


class Driver:
    """Carries out in a loop what the engine decides."""

    def __init__(
        self, app: App, loop: asyncio.AbstractEventLoop, cut: Callable[[], object] | None
    ) -> None:
        self.finished: asyncio.Future[None] = loop.create_future()
        """Done when the stop is over."""
        self._app = app
        self._loop = loop
        self._cut = cut
        self._seen = Phase.STARTING
        self._watch = app.lifecycle.watch()
        add_reader(loop, self._watch.fileno(), self._look)
        app._components.look = self._look
        self._look()

    def end(self) -> None:
        """Looks no more."""
        self._app._components.look = lambda: None
        remove_reader(self._loop, self._watch.fileno())
        self._watch.close()

    def _look(self) -> None:
        self._watch.seen()
        now = self._app.phase
        for phase in Phase:
            if self._seen < phase <= now:
                self._enter(phase)
        self._seen = now

    def _enter(self, phase: Phase) -> None:
        app = self._app
        if phase == Phase.LAME_DUCK:
            _log.info("stop requested: %s", app.stop.cause)
        elif phase == Phase.DRAINING:
            _log.info("draining: %d in flight", len(app._tasks.live()))
            app.stop._tell()
            for group in app._groups:
                group.stop.set()
        elif phase == Phase.CLOSING:
            _log.info("closing")
            app._tasks.cut()
            if self._cut is not None:
                self._cut()
        elif phase == Phase.STOPPED:
            app._components.end()
            app._tasks.cut()
            if not self.finished.done():
                self.finished.set_result(None)
