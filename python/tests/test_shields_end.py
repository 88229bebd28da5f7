"""Signals that come when the program's own code is over, and the interpreter at its end (P49)."""

import signal

import pytest
from shielded import shielded

INT, TERM = signal.SIGINT, signal.SIGTERM

SETUP = {
    "drop-in": "from exeunt import configure_shutdown_manager as configure\nconfigure()\n",
    "native": "import exeunt\nwith exeunt.shield():\n    pass\n",
}

STATUSES = [
    ("drop-in", INT, -INT),
    ("drop-in", TERM, 1),
    ("native", INT, 0),
    ("native", TERM, 0),
]

# Where the interpreter may be: each says "waits", and "whole" once it has read a line.
ENDS = {
    "a thread": """
import sys, threading
def work():
    threading.main_thread().join()
    print("waits")
    sys.stdin.readline()
    print("whole")
threading.Thread(target=work).start()
""",
    "an exit handler of threading": """
import sys, threading
def work():
    print("waits")
    sys.stdin.readline()
    print("whole")
threading._register_atexit(work)
""",
    "an executor": """
import sys, time
from concurrent.futures import ThreadPoolExecutor, thread
def work():
    while not thread._shutdown:
        time.sleep(0.001)
    print("waits")
    sys.stdin.readline()
    print("whole")
ThreadPoolExecutor().submit(work)
""",
    "an exit handler": """
import atexit, sys
def work():
    print("waits")
    sys.stdin.readline()
    print("whole")
atexit.register(work)
""",
    "output": """
import sys
class Output:
    def flush(self):
        if sys.stdout is self:
            sys.stdout = sys.__stdout__
            print("waits")
            sys.stdin.readline()
            print("whole")
sys.stdout = Output()
""",
}


@pytest.mark.parametrize(("kind", "sent", "wanted"), STATUSES)
@pytest.mark.parametrize("where", ENDS)
def test_p49_a_signal_at_the_end_interrupts_nothing_and_is_told_by_the_status(
    where: str, kind: str, sent: signal.Signals, wanted: int
) -> None:
    with shielded(SETUP[kind] + ENDS[where]) as running:
        running.wait_for("waits\n")
        running.kill(sent)
        running.wait_until_taken(sent)
        running.say("\n")
        assert running.end() == (wanted, "waits\nwhole\n")


def test_p49_hooks_exit_handlers_and_output_come_first() -> None:
    text = """
    import atexit, sys
    atexit.register(os.write, 1, b"the last exit handler\\n")
    from exeunt import configure_shutdown_manager
    def hook():
        print("hook")
    configure_shutdown_manager(before_termination=hook)
    def work():
        print("waits")
        sys.stdin.readline()
    atexit.register(work)
    sys.stdout.write("buffered\\n")
    """
    with shielded(text) as running:
        running.wait_for("waits\n")
        running.kill(INT)
        running.wait_until_taken(INT)
        running.say("\n")
        status, out = running.end()
    assert status == -INT
    # Nothing is buffered where the test reads as it comes.
    assert out.replace("buffered\n", "") == "waits\nhook\nthe last exit handler\n"


def test_p46_a_block_is_waited_for_that_outlasts_our_own_exit_handler() -> None:
    text = """
    import atexit, sys, threading, time
    def late():
        print("waits")
        sys.stdin.readline()
    atexit.register(late)
    from exeunt import ShutdownProtection
    def work():
        with ShutdownProtection():
            print("inside")
            while not told.wait(0.01):
                pass
            time.sleep(0.3)
            print("whole")
    told = threading.Event()
    def hup():
        told.set()
    from exeunt import configure_shutdown_manager
    configure_shutdown_manager(before_hup=hup)
    threading.Thread(target=work, daemon=True).start()
    """
    with shielded(text) as running:
        running.wait_for("waits\n")
        running.wait_for("inside\n")
        running.kill(signal.SIGHUP)
        running.wait_for("whole\n")
        running.say("\n")
        status, out = running.end()
    assert (status, sorted(out.splitlines())) == (1, ["inside", "waits", "whole"])


@pytest.mark.parametrize(
    ("kind", "sent", "wanted"),
    [("drop-in", INT, 1), ("drop-in", TERM, 1), ("native", INT, 128 + INT)],
)
def test_p49_the_third_signal_ends_it_there_and_flushes(
    kind: str, sent: signal.Signals, wanted: int
) -> None:
    text = (
        SETUP[kind]
        + """
import atexit, io, logging.handlers, sys, threading, time
target = logging.StreamHandler(sys.stderr)
logging.getLogger().addHandler(logging.handlers.MemoryHandler(100, target=target))
logging.getLogger().warning("logged")
sys.stdout = io.TextIOWrapper(io.BufferedWriter(io.FileIO(1, "w", closefd=False)))
sys.stdout.write("written ")
atexit.register(lambda: os.write(2, b"an exit handler"))
stage = iter(("one", "two"))
def work():
    threading.main_thread().join()
    os.write(1, b"waits\\n")
    for _ in sys.stdin:
        os.write(1, (next(stage) + "\\n").encode())
    threading.Event().wait()
threading.Thread(target=work).start()
"""
    )
    with shielded(text) as running:
        running.wait_for("waits\n")
        for stage in ("one\n", "two\n"):
            running.kill(sent)
            running.wait_until_taken(sent)
            running.say("\n")
            running.wait_for(stage)
        running.kill(sent)
        status, out = running.end()
    assert status == wanted, out
    assert out.removeprefix("waits\none\ntwo\n") == "written logged\n", out


def test_p41_a_main_thread_that_only_sleeps_is_told_of_sigterm() -> None:
    for wait in ("time.sleep(60)", "select.select([], [], [], 60)", "os.read(os.pipe()[0], 1)"):
        text = f"""
        import select, sys, threading, time
        from exeunt import ShutdownProtection
        def work():
            go.wait()
            with ShutdownProtection():
                pass
            print("ready")
            time.sleep(60)
        go = threading.Event()
        threading.Thread(target=work, daemon=True).start()
        try:
            go.set()
            {wait}
        except BaseException as error:
            print(repr(error))
            raise
        """
        with shielded(text) as running:
            running.wait_for("ready\n")
            running.kill(TERM)
            assert running.end() == (1, "ready\nSystemExit(1)\n"), wait


def test_p41_where_sigint_is_ignored_the_main_thread_is_told_when_it_can_be() -> None:
    text = """
    import signal, threading
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from exeunt import ShutdownProtection
    def work():
        with ShutdownProtection():
            print("ready")
        threading.Event().wait()
    threading.Thread(target=work, daemon=True).start()
    try:
        threading.Event().wait()
    except BaseException as error:
        print(repr(error))
        raise
    """
    with shielded(text) as running:
        running.wait_for("ready\n")
        running.kill(TERM)
        assert running.end() == (1, "ready\nSystemExit(1)\n")
