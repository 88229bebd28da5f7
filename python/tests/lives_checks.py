"""How each of the examples ends well, whenever it was struck."""

import re
from signal import SIGINT, SIGTERM

from lives import Check, Ended


def clean(ended: Ended) -> None:
    """The lifecycle sees to its end: nothing else is seen, however often it is told (P53)."""
    assert ended.errors == "", ended
    assert ended.status == 0, ended


def own_end(last: str) -> Check:
    """The program sees to its end; behind its last line a signal does what it always does."""

    def check(ended: Ended) -> None:
        is_over = ended.said[-1:] == [last]
        if is_over and ended.status == -ended.strike.signal:
            return
        assert ended.errors == "" or (is_over and ended.strike.signal == SIGINT), ended
        assert ended.status == 0, ended

    return check


def delayed_end(last: str) -> Check:
    """As `own_end`; SIGTERM acts by default, behind the block, and an interrupt that hits none of
    the program's blocks, a second one or behind all work, leaves it as it leaves any program.
    """
    by_itself = own_end(last)

    def check(ended: Ended) -> None:
        if ended.strike.signal == SIGTERM:
            assert (ended.status, ended.errors) == (-SIGTERM, ""), ended
            return
        is_late = ended.strike.gap is not None or "stopped" in ended.said
        if (
            not is_late
            or ended.status != -SIGINT
            or not ended.errors.rstrip().endswith("KeyboardInterrupt")
        ):
            by_itself(ended)

    return check


def in_order(ended: Ended, *steps: str) -> None:
    """Those of the steps that were said came in that order, each once."""
    seen = [line for line in ended.said if line in steps]
    assert seen == [step for step in steps if step in seen], ended


def paired(ended: Ended, *names: str, words: tuple[str, str]) -> None:
    """Whoever has said the one word has said the other."""
    for name in names:
        counts = [ended.said.count(f"{name} {word}") for word in words]
        assert counts in ([0, 0], [1, 1]), ended


def basic(ended: Ended) -> None:
    assert ended.said == ["started, Ctrl-C to stop", "stopping"], ended


def streams(ended: Ended) -> None:
    told = r"started on port \d+\nstopping: StreamsReport\(.*cut=\(\).*\)"
    assert re.fullmatch(told, "\n".join(ended.said)), ended


def order(ended: Ended) -> None:
    paired(ended, "upstream", "database", words=("opened", "closed"))
    in_order(ended, "starting", "database opened", "upstream opened", "requests answered")
    in_order(ended, "requests answered", "upstream closed", "database closed")
    assert ended.said[-1].startswith("saved ") or ended.said == ["starting"], ended


def tasks(ended: Ended) -> None:
    in_order(ended, "started", "stopping", "not finished: ()")
    stopped = sorted(line for line in ended.said if line.endswith(" stopped"))
    assert stopped == [f"worker-{number} stopped" for number in (1, 2, 3)], ended


def cancelled(ended: Ended) -> None:
    in_order(ended, "starting", "stopping 3 tasks")
    paired(ended, "worker-1", "worker-2", "worker-3", words=("begun", "cancelled"))


def database(ended: Ended) -> None:
    requests = [line.split() for line in ended.said if line.startswith("request")]
    begun, finished = (
        sorted(number for _, number, what in requests if what == word)
        for word in ("begun", "finished")
    )
    assert begun == finished, ended
    in_order(ended, "starting", "connected", "closed")
    assert ended.said[-1] == ("closed" if "connected" in ended.said else "starting"), ended


def lifespan(ended: Ended) -> None:
    in_order(ended, "starting", "database opens", "cache opens", "started", "cache closed")
    in_order(ended, "cache closed", "database closed")
    opened = [name for name in ("database", "cache") if f"{name} opens" in ended.said]
    assert opened == [name for name in opened if f"{name} closed" in ended.said], ended


def services(ended: Ended) -> None:
    steps = ("starting", "storage started", "listener started", "listener stopped")
    in_order(ended, *steps, "storage stopped")
    paired(ended, "storage", "listener", words=("started", "stopped"))
    assert ended.said[-1] == "storage stopped", ended


def aiohttp(ended: Ended) -> None:
    in_order(ended, "starting", "stopping", "cleaned up")
    assert ended.said[-1] == "cleaned up", ended


def busy(ended: Ended) -> None:
    """What never ends is named, and left."""
    assert ended.said[-1] == "storage closed" or ended.said == ["starting"], ended
    if "started" in ended.said:
        assert ended.status == 3, ended
        named = re.findall(r"thread (worker_\d), in process", ended.errors)
        assert sorted(named) == [f"worker_{number}" for number in range(4)], ended
    else:
        assert ended.status == 0, ended
    assert "Traceback" not in ended.errors, ended


def delayed(ended: Ended) -> None:
    said = [line for line in ended.said if "interrupt" not in line.lower() and line != "bye"]
    stopped = ["stopped"] if ended.strike.signal == SIGINT and not is_between(ended) else []
    assert said == ["starting", "started", *stopped], ended


def is_between(ended: Ended) -> bool:
    """Whether a second interrupt has come behind the first one's `except`, before its block."""
    return (
        ended.strike.gap is not None
        and "stopped" not in ended.said
        and any("interrupt" in line.lower() and "stop" in line for line in ended.said)
    )


def delayed_child(ended: Ended) -> None:
    # Two processes may write into one line.
    said = re.findall("starting|started|stopped", "\n".join(ended.said))
    assert said == ["starting", "started", *([] if is_between(ended) else ["stopped"])], ended


def shields(ended: Ended) -> None:
    words = [line.split(maxsplit=1) for line in ended.said if line.strip()]
    begun = [word[1:] for word in words if word[0] == "begin"]
    assert sorted(begun) == sorted(word[1:] for word in words if word[0] == "end"), ended
    assert "rollback" not in "\n".join(ended.said), ended
    assert "Exception ignored" not in ended.errors, ended
    signal = ended.strike.signal
    # Behind its end a program may be killed by the signal, which acts by default then.
    assert ended.status in (0, -signal, *([1] if signal == SIGTERM else [])), ended
    if signal == SIGINT and ended.status == -SIGINT and ended.errors:
        # One that came before the first block was entered leaves as it leaves any program.
        assert ended.errors.count("\nKeyboardInterrupt") == 1, ended
        assert ended.errors.endswith("\nKeyboardInterrupt\n"), ended
    else:
        assert ended.errors == "", ended


def closed(ended: Ended) -> None:
    """It unwinds. It has no block, so that a second signal may interrupt that."""
    assert ended.said[-1:] == ["closed"] or ended.strike.gap is not None, ended


def worker_threads(ended: Ended) -> None:
    began, finished, kept = (ended.numbers(it) for it in ("began", "finished", "kept"))
    assert began == finished, ended
    assert sorted(finished + kept) == ended.numbers("accepted"), ended
    assert ended.said[-1] == "bye", ended


def nothing_kept(ended: Ended) -> None:
    assert ended.numbers("kept") == [], ended


def worker_processes(ended: Ended) -> None:
    assert ended.numbers("began") == ended.numbers("finished"), ended
    workers = [line.split() for line in ended.said if line.startswith("worker ")]
    started, stopped = (
        sorted(pid for _, pid, what in workers if what == word) for word in ("started", "stopped")
    )
    assert started == stopped, ended


def several(ended: Ended) -> None:
    lines = [line for line in ended.said if line.startswith("service ")]
    started = [line.split()[1] for line in lines if line.endswith("started")]
    stopped = [f"service {number} stopped, clean: True" for number in reversed(started)]
    assert [line for line in lines if "stopped" in line] == stopped, ended
    for number in "12":
        began, finished = (ended.said.count(f"{it} {number}") for it in ("began", "finished"))
        assert began == finished, ended
