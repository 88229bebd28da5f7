"""`Application`: services that start in order and stop in reverse (P55)."""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from ._app import App
from ._components import call
from ._embed import arun
from ._program import Program

__all__ = ["Application", "Service"]


class Service(Protocol):
    """What an application starts and stops; both may be async."""

    def start(self) -> Any:
        """Starts it. What it returns is passed over."""

    def stop(self) -> Any:
        """Stops it."""


class Application:
    """Services that are started one after the other, and stopped in reverse order.

    `start` and `stop` may be async or not. A stop request lets the start that runs finish, starts
    no further one, and stops what has started; one that fails to start stops those before it. Each
    start has `start_timeout` seconds, each stop `timeout`, or what is left of the grace; one that
    takes longer is given up, and the next one's turn comes. The other arguments are those of
    `exeunt.run`.
    """

    def __init__(
        self,
        services: Iterable[Service],
        *,
        start_timeout: float = 60.0,
        timeout: float | None = None,
        **options: Any,
    ) -> None:
        self.services = tuple(services)
        self._start_timeout, self._timeout = start_timeout, timeout
        self._options = options

    def run(self, main: Callable[..., Any] | None = None) -> Any:
        """Starts the services, runs `main` (or waits for the stop), and stops them.

        Returns and raises what `exeunt.run` does, and treats `main` like it: a sync one that takes
        no argument is interrupted by `KeyboardInterrupt` at the stop request.
        """
        options = {"grace": 25.0, **self._options}
        loop_factory = options.pop("loop_factory", None)
        return Program(options, loop_factory).run(main or _wait, prepare=self._start)

    async def arun(self, main: Callable[..., Any] | None = None) -> Any:
        """The same where a loop runs already: see `exeunt.arun`."""

        async def body(app: App) -> Any:
            await self._start(app)
            result = call(main or _wait, app)
            return await result if hasattr(result, "__await__") else result

        return await arun(body, **self._options)

    async def _start(self, app: App) -> None:
        for service in self.services:
            await app.component(
                _name_of(service),
                service.start,
                service.stop,
                start_timeout=self._start_timeout,
                timeout=self._timeout,
            )


async def _wait(app: App) -> None:
    await app.stop.wait()


def _name_of(service: Service) -> str:
    name = getattr(service, "name", None)
    return name if isinstance(name, str) else type(service).__name__
