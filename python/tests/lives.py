"""One life of a program: started, struck by signals at an instant, looked at in its end."""

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from signal import SIGINT, SIGTERM, Signals

from pool_programs import Program
from pools import until

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "python"
SEEDS = Path(__file__).resolve().with_name("seeds")


@dataclass(frozen=True)
class Strike:
    """What a program is sent, and when: seconds from its first line on, or from its birth."""

    way: str
    """`before` its first line, `alone`, `doubled`, or a second one `in the stop`."""
    after: float
    signal: Signals
    group: bool
    gap: float | None = None
    """Seconds from one signal to the next; None for one alone."""

    def __str__(self) -> str:
        whom = "the group" if self.group else "the process"
        more = "" if self.gap is None else f", again after {self.gap:.3f} s"
        return f"{self.way}: {self.signal.name} to {whom} after {self.after:.3f} s{more}"


@dataclass(frozen=True)
class Ended:
    """What became of it."""

    strike: Strike
    status: int
    said: list[str]
    errors: str
    sent: int
    was_swallowed: bool = False
    """Whether the interpreter's own start has taken the first signal."""

    def numbers(self, word: str) -> list[int]:
        """What it has said after this word."""
        found = [line.split()[1] for line in self.said if line.startswith(word + " ")]
        return sorted(map(int, found))

    def __str__(self) -> str:
        said = "\n".join(self.said)
        return f"{self.strike}: status {self.status}\n{said}\n{self.errors}"


Check = Callable[[Ended], None]


@dataclass(frozen=True)
class Life:
    """A program, and how it is to end."""

    name: str
    script: Path
    checks: tuple[Check, ...]
    arguments: tuple[str, ...] = ()
    begins: str = "starting"
    """The line that it says first, or how it begins."""
    run: float = 0.2
    """Seconds from there to the last signal that comes first."""
    stop: float = 0.1
    """Seconds from the first signal to the last one that comes second."""
    signals: tuple[Signals, ...] = (SIGINT, SIGTERM)
    groups: tuple[bool, ...] = (False, True)
    clients: Callable[[Program], AbstractContextManager[None]] | None = None
    """What asks it meanwhile, and sees that it is answered."""
    strict: bool = True
    """Whether warnings are errors."""

    @property
    def command(self) -> tuple[str, ...]:
        return str(self.script), *self.arguments


def strikes(life: Life, every: float) -> Iterator[Strike]:
    """All of its life, so many seconds apart."""
    ways = [(signal, group) for signal in life.signals for group in life.groups]

    def points(seconds: float) -> Iterator[float]:
        return (number * every for number in range(int(seconds / every + 1e-6) + 1))

    for number, after in enumerate(points(_BIRTH)):
        yield Strike("before", after, *ways[number % len(ways)])
    for number, after in enumerate(points(life.run)):
        for way in ways:
            yield Strike("alone", after, *way)
            yield Strike("doubled", after, *way, (0.005, 0.02)[number % 2])
    for gap in points(life.stop):
        for number, way in enumerate(ways):
            yield Strike("in the stop", life.run * (number + 1) / (len(ways) + 1), *way, gap)


_BIRTH = 0.2
"""Seconds that an interpreter takes to say something, and more."""


def live(life: Life, strike: Strike) -> Ended:
    """Lives it, and sees that it ends well."""
    program = Program(*life.command, strict=life.strict)
    sent = 0
    swallowed = False

    def send() -> None:
        nonlocal sent
        sent += program.process.poll() is None
        program.send(strike.signal, group=strike.group)

    try:
        if strike.way != "before":
            assert program.await_match(f"(?m)^({re.escape(life.begins)}).*\n"), program.told()
        asked = nullcontext() if life.clients is None else life.clients(program)
        with asked:
            # Not waited for: any moment will do.
            time.sleep(strike.after)
            send()
            if strike.gap is not None:
                time.sleep(strike.gap)
                send()
            try:
                if strike.way == "before" and is_swallowed(life, program):
                    swallowed = True
                    send()
                status = program.end()
            except subprocess.TimeoutExpired:
                raise AssertionError(f"{strike}: it does not end\n{program.told()}") from None
        ended = Ended(strike, status, program.said, program.errors, sent, swallowed)
        until(lambda: program.left() == [], f"{strike}: the end of {program.left()}")
        look(life, ended)
    finally:
        program.kill()
    return ended


def is_swallowed(life: Life, program: Program) -> bool:
    """Whether a newborn interpreter has taken the interrupt for its own, and gone on.

    CPython does, with a word or without, as long as it imports its own modules (`warnings`, say)
    and looks whether its first argument is a package: no program can have a part in that.
    """

    def goes_on() -> bool:
        return f"\n{life.begins}" in f"\n{program.told()}"

    def is_over() -> bool:
        return program.process.poll() is not None

    until(lambda: goes_on() or is_over(), "its end, or its first line")
    if "KeyboardInterrupt" not in program.told():
        deadline = time.monotonic() + _LONG_ENOUGH
        while not is_over() and time.monotonic() < deadline:
            time.sleep(0.01)
    return not is_over()


_LONG_ENOUGH = 10.0
"""Seconds in which each of them has ended that has heard."""


def look(life: Life, ended: Ended) -> None:
    """Sees whether it ended well."""
    if ended.strike.way == "before" and not any(
        line.startswith(life.begins) for line in ended.said
    ):
        # It was not a program of ours yet, and ended as any.
        assert ended.status in (0, 1, -ended.strike.signal), ended
        return
    if ended.was_swallowed:
        return
    for check in life.checks:
        check(ended)
