"""The interpreter ends with managers alive: no hang, no abort, its own status, not a word."""

import sys

import pytest
from running import program

START = """
    import atexit, builtins, sys, threading, time
    from exeunt.mongoose import Manager

    def polling(manager, ms):
        def loop():
            while True:
                manager.poll(ms)
        thread = threading.Thread(target=loop, daemon=True)
        thread.start()
        return thread

    class Server:
        def __init__(self):
            self.manager = Manager(self.handle, enable_wakeup=True)
            self.listener = self.manager.listen("tcp://127.0.0.1:0", self.handle)
            self.listener.userdata = self
            self.timer = self.manager.timer_add(1, self.handle, repeat=True)

        def handle(self, *told):
            pass

    inside = threading.Event()
"""

ENDS = {
    "a daemon thread waits without limit": """
    manager = Manager()
    manager.listen("tcp://127.0.0.1:0")
    manager.poll(0)
    polling(manager, -1)
    """,
    "daemon threads poll in loops": """
    managers = [Manager(lambda *_: None) for _ in range(8)]
    for manager in managers:
        manager.listen("tcp://127.0.0.1:0")
        polling(manager, 1)
    """,
    "a handler sleeps": """
    def handler(conn, ev, data):
        if ev == 19:
            inside.set()
            time.sleep(600)
    manager = Manager(handler, enable_wakeup=True)
    manager.wakeup(manager.listen("tcp://127.0.0.1:0").id)
    polling(manager, 100)
    inside.wait()
    """,
    "a handler wakes meanwhile": """
    def handler(conn, ev, data):
        if ev == 19:
            inside.set()
            while True:
                time.sleep(0.0001)
    manager = Manager(handler, enable_wakeup=True)
    manager.wakeup(manager.listen("tcp://127.0.0.1:0").id)
    polling(manager, 100)
    inside.wait()
    """,
    "a handler never returns": """
    def handler(conn, ev, data):
        if ev == 19:
            inside.set()
            while True:
                pass
    manager = Manager(handler, enable_wakeup=True)
    manager.wakeup(manager.listen("tcp://127.0.0.1:0").id)
    polling(manager, 100)
    inside.wait()
    """,
    "an error handler never returns": """
    def errors(error):
        inside.set()
        while True:
            pass
    manager = Manager(lambda *_: 1 / 0, error_handler=errors)
    polling(manager, 100)
    manager.timer_add(0, lambda: manager.listen("tcp://127.0.0.1:0"))
    inside.wait()
    """,
    "timers fire without end": """
    for _ in range(4):
        manager = Manager()
        manager.timer_add(0, lambda: (inside.set(), sum(range(500))), repeat=True)
        polling(manager, 100)
    inside.wait()
    """,
    "exit handlers use it": """
    manager = Manager(lambda *_: None, enable_wakeup=True)
    listener = manager.listen("tcp://127.0.0.1:0")
    polling(manager, 100)
    @atexit.register
    def late():
        manager.wakeup(listener.id)
        manager.listen("tcp://127.0.0.1:0")
        manager.timer_add(1, lambda: None)
        with Manager() as own:
            own.listen("tcp://127.0.0.1:0")
            own.poll(1)
    """,
    "an exit handler stops it": """
    stop = threading.Event()
    def loop():
        while not stop.is_set():
            manager.poll(100)
    @atexit.register
    def late():
        stop.set()
        thread.join()
        manager.close()
    manager = Manager(lambda *_: None)
    manager.listen("tcp://127.0.0.1:0")
    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    """,
    "garbage, globals and builtins": """
    Server()
    one, cycles = Server(), [Server() for _ in range(10)]
    cycles.append(cycles)
    builtins.kept = Server()
    sys.modules["kept"] = Server()
    """,
    "a handler of CLOSE imports": """
    def handler(conn, ev, data):
        if ev == 9:
            import colorsys
            colorsys.rgb_to_hsv(1, 1, 1)
    manager = Manager(handler)
    manager.listen("tcp://127.0.0.1:0")
    """,
}


BUSY = {
    "daemon threads poll in loops",
    "a handler wakes meanwhile",
    "a handler never returns",
    "an error handler never returns",
    "timers fire without end",
}
"""In CPython 3.10 a daemon thread that runs Python may look at the interpreter when that is freed
(`take_gil` does), and crash, in percents of runs, whatever it runs."""


@pytest.mark.parametrize("name", ENDS, ids=[name.replace(" ", "-") for name in ENDS])
def test_the_interpreter_ends_as_it_would_without(name: str) -> None:
    if name in BUSY and sys.version_info < (3, 11):
        pytest.skip("CPython 3.10 crashes by itself")
    for _ in range(3):
        with program(START + ENDS[name] + "\n    sys.exit(7)\n") as ending:
            assert ending.end() == (7, "")


def test_subinterpreters_are_refused_and_the_main_one_works_on() -> None:
    with program(
        """
        import sys
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
        lines = [
            "import sys",
            f"sys.path[:] = {sys.path!r}",
            "try:",
            "    import exeunt.mongoose",
            "except ImportError as error:",
            "    print(error)",
            "else:",
            "    print('imported')",
        ]
        for _ in range(2):
            other = interpreters.create()
            interpreters.run_string(other, chr(10).join(lines))
            interpreters.destroy(other)
            from exeunt.mongoose import Manager
            Manager().close()
        print("works")
        """
    ) as trying:
        status, said = trying.end()
    refused = "module exeunt._native does not support loading in subinterpreters"
    assert (status, said.splitlines()) == (0, [refused, refused, "works"])
