"""Blocks in several threads, entered, left and broken in any order, beside signals."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shielded import shielded

THREADS = 3

# Does what it is told, one thing after the other, each in its thread, and says what came of it.
DRIVER = """
import json, os, queue, signal, sys, threading
from exeunt._native import _Shields
from exeunt.graceful_shutdown import ShutdownProtection, configure_shutdown_manager
configure_shutdown_manager()
operations = json.loads(sys.stdin.readline())
begun, done = threading.Event(), threading.Event()
raised = []
class Worker(threading.Thread):
    def __init__(self):
        super().__init__(daemon=True)
        self.asked, self.answers, self.blocks = queue.Queue(), queue.Queue(), []
        self.start()
    def run(self):
        while True:
            what = self.asked.get()
            try:
                if what == "enter":
                    block = ShutdownProtection()
                    block.__enter__()
                    self.blocks.append(block)
                elif what == "exit":
                    self.blocks.pop().__exit__(None, None, None)
                else:
                    self.blocks[-1].allow_break()
                self.answers.put("ok")
            except (KeyboardInterrupt, SystemExit) as error:
                self.answers.put("int" if isinstance(error, KeyboardInterrupt) else "exit")
def control():
    begun.wait()
    workers = [Worker() for _ in range(3)]
    for what, who in operations:
        if what == "signal":
            os.kill(os.getpid(), who)
            while not _Shields.requested():
                os.sched_yield()
            print("ok")
        else:
            workers[who].asked.put(what)
            print(workers[who].answers.get())
    done.set()
threading.Thread(target=control, daemon=True).start()
while True:
    try:
        begun.set()
        while not done.wait(0.01):
            pass
        break
    except (KeyboardInterrupt, SystemExit) as error:
        raised.append("int" if isinstance(error, KeyboardInterrupt) else "exit")
print("main", *raised)
os._exit(0)
"""


class Model:
    """What is to come of it."""

    def __init__(self) -> None:
        self.depth = [0] * THREADS
        self.told = [False] * THREADS
        self.cause: str | None = None

    def enabled(self, what: str, who: int) -> bool:
        return what in ("enter", "signal") or self.depth[who] > 0

    def apply(self, what: str, who: int) -> str:
        if what == "signal":
            self.cause = self.cause or ("int" if who == 2 else "exit")
            return "ok"
        alone = self.depth[who] == (0 if what == "enter" else 1)
        if what == "exit":
            self.depth[who] -= 1
        if self.cause is not None and alone and not self.told[who]:
            self.told[who] = True
            return self.cause
        if what == "enter":
            self.depth[who] += 1
        return "ok"


_operation = st.one_of(
    st.tuples(st.sampled_from(["enter", "exit", "break"]), st.integers(0, THREADS - 1)),
    st.tuples(st.just("signal"), st.sampled_from([2, 15])),
)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.lists(_operation, max_size=25))
def test_p44_blocks_of_many_threads_do_as_the_model(wanted: list[tuple[str, int]]) -> None:
    model, operations, expected, signals = Model(), [], [], 0
    for what, who in wanted:
        signals += what == "signal"
        if model.enabled(what, who) and (what != "signal" or signals < 3):
            operations.append((what, who))
            expected.append(model.apply(what, who))
    with shielded(DRIVER) as running:
        running.say(json.dumps(operations) + "\n")
        status, out = running.end()
    assert status == 0
    *said, main = out.splitlines()
    assert said == expected, operations
    # The main thread leaves once, and not before all others.
    live = any(depth and not told for depth, told in zip(model.depth, model.told, strict=True))
    if model.cause is None:
        assert main == "main"
    elif live:
        assert main in ("main", f"main {model.cause}")
    else:
        assert main in ("main", f"main {model.cause}"), "more than once"
