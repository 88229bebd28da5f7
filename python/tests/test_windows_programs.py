"""Servers, pools, blocks and signals of programs on Windows (P77 to P82)."""

import pytest
from windows import EVENTS, Program, only_windows

pytestmark = only_windows


def test_every_name_of_the_package_is_there() -> None:
    text = """
    for name in exeunt.__all__:
        getattr(exeunt, name)
    say("all")
    """
    with Program(text) as program:
        assert program.end() == 0, program.output
    assert program.lines == ["all"]


SERVES = """
async def handler(reader, writer):
    while line := await reader.readline():
        writer.write(b"re: " + line)
        await writer.drain()

async def main(app):
    server = exeunt.GracefulServer(handler, "127.0.0.1", goodbye=b"bye\\n")
    await server.start()
    opened = [asyncio.open_connection("127.0.0.1", server.port) for _ in range(20)]
    clients = await asyncio.gather(*opened)
    for _, writer in clients:
        writer.write(b"hello\\nworld\\n")
    say("ready")
    await app.stop.wait()
    report = await server.stop()
    answers = {await reader.read() for reader, _ in clients}
    for _, writer in clients:
        writer.close()
    say(answers, report.is_clean)

exeunt.run(main, loop_factory=getattr(asyncio, sys.argv[1]))
"""


@pytest.mark.parametrize("loop", ["ProactorEventLoop", "SelectorEventLoop"])
def test_a_server_answers_what_has_arrived(loop: str) -> None:
    with Program(SERVES, loop) as program:
        program.until("ready")
        program.deliver("ctrl-break")
        assert program.end() == 0, program.output
    assert program.lines == ["ready", r"{b're: hello\nre: world\nbye\n'} True"]


def test_a_pool_of_threads_finishes_what_it_has_accepted() -> None:
    text = """
    def work(number):
        time.sleep(0.05)
        return number

    async def main(app):
        pool = exeunt.ThreadPool(2, lifecycle=app)
        futures = [pool.submit(work, number) for number in range(10)]
        say("ready")
        await app.stop.wait()
        say(sum([await asyncio.wrap_future(future) for future in futures]))

    exeunt.run(main)
    say(exeunt.last_report().verdict)
    """
    with Program(text) as program:
        program.until("ready")
        program.deliver("close")
        assert program.end() == 0, program.output
    assert program.lines == ["ready", "45", "clean"]


def test_the_system_gives_less_time_than_the_grace() -> None:
    text = """
    async def main(app):
        say("ready")
        try:
            await asyncio.sleep(60)
        finally:
            lifecycle = app.lifecycle
            say("cut", lifecycle.hard_deadline - lifecycle.drain_deadline < 1)
            say("by", lifecycle.hard_deadline - time.monotonic() < 4.5)

    exeunt.run(main)
    """
    with Program(text) as program:
        program.until("ready")
        assert program.deliver("close") == "held"
        assert program.end() == 3, program.output
    assert program.lines[:3] == ["ready", "cut True", "by True"]


def test_a_lifespan_ends_its_block_and_leaves_the_process_alone() -> None:
    text = """
    async def ticks():
        while True:
            await asyncio.sleep(0.01)

    async def main():
        async with exeunt.lifespan(grace=0.5) as app:
            exeunt.spawn(ticks(), name="ticks")
            say("ready")
            await app.stop.wait()

    try:
        asyncio.run(main())
    except exeunt.StopFailed as error:
        say([str(cut.name) for cut in error.report.cut])
    say("goes on")
    """
    with Program(text) as program:
        program.until("ready")
        program.deliver("ctrl-c")
        assert program.end() == 0, program.output
    assert program.lines[-2:] == ["['ticks']", "goes on"]


@pytest.mark.parametrize("forced", ["ctrl-c", "ctrl-break"])
def test_the_third_forces_the_end(forced: str) -> None:
    text = """
    async def main(app):
        say("ready")
        await app.stop.wait()
        say("told")
        await asyncio.sleep(60)

    exeunt.run(main, grace=60)
    """
    with Program(text) as program:
        program.until("ready")
        program.deliver(forced)
        program.until("told")
        program.deliver(forced)
        program.deliver(forced)
        assert program.end() == 128 + {"ctrl-c": 2, "ctrl-break": 21}[forced], program.output


def test_a_block_is_rolled_back_when_the_end_is_forced() -> None:
    text = """
    try:
        with exeunt.ShutdownProtection():
            try:
                say("ready")
                while True:
                    time.sleep(60)
            except SystemExit as error:
                say("rolled back", error.code)
                raise
    finally:
        say("left")
    """
    with Program(text) as program:
        program.until("ready")
        for _ in range(3):
            program.deliver("ctrl-c")
        assert program.end() == 1, program.output
    assert program.lines == ["ready", "rolled back 1", "left"]


OUTLIVES_LOGOFF = {
    "shields": """
    exeunt.configure_shutdown_manager(terminate_on_logoff=False)
    with exeunt.ShutdownProtection() as block:
        say("ready")
        sys.stdin.readline()
        block.allow_break()
    say("goes on")
    """,
    "run": """
    async def main(app):
        say("ready")
        await asyncio.to_thread(sys.stdin.readline)
        say("told" if app.stop.is_set() else "goes on")
    exeunt.run(main, terminate_on_logoff=False)
    """,
}


@pytest.mark.parametrize("text", OUTLIVES_LOGOFF.values(), ids=OUTLIVES_LOGOFF)
def test_a_logoff_may_be_nothing_to_a_program(text: str) -> None:
    with Program(text) as program:
        program.until("ready")
        assert program.deliver("logoff") == "returned"
        program.say("go on")
        assert program.end() == 0, program.output
    assert program.lines == ["ready", "goes on"]


RAISES = """
import _thread
raises = {
    "raise_signal": lambda: signal.raise_signal(signal.SIGINT),
    "interrupt_main": _thread.interrupt_main,
    "terminates": lambda: signal.raise_signal(signal.SIGTERM),
}[sys.argv[1]]
try:
    with exeunt.ShutdownProtection():
        raises()
        time.sleep(0.2)
        say("finished")
except BaseException as error:
    say(repr(error))
"""


@pytest.mark.parametrize(
    ("kind", "by"),
    [
        ("raise_signal", "KeyboardInterrupt()"),
        ("interrupt_main", "KeyboardInterrupt()"),
        ("terminates", "SystemExit(1)"),
    ],
)
def test_what_the_program_raises_itself_waits_for_the_block(kind: str, by: str) -> None:
    with Program(RAISES, kind) as program:
        assert program.end() == 0, program.output
    assert program.lines == ["finished", by]


DELAYS = """
def caught_by(number, frame):
    say("handler of", number)
for number in (signal.SIGTERM, signal.SIGBREAK):
    signal.signal(number, caught_by)
try:
    with exeunt.DelayedKeyboardInterrupt():
        say("ready")
        for number in (signal.SIGTERM, signal.SIGBREAK):
            signal.raise_signal(number)
        sys.stdin.readline()
        say("finished")
except KeyboardInterrupt:
    say("KeyboardInterrupt")
say(signal.getsignal(signal.SIGBREAK) is caught_by)
"""


def test_delayed_signals_act_behind_the_block() -> None:
    with Program(DELAYS) as program:
        program.until("ready")
        program.deliver("ctrl-c")
        program.say("go on")
        assert program.end() == 0, program.output
    handled = ["handler of 15", "handler of 21"]
    assert program.lines == ["ready", "finished", *handled, "KeyboardInterrupt", "True"]


def test_a_default_that_was_delayed_ends_the_program() -> None:
    text = """
    with exeunt.DelayedKeyboardInterrupt():
        signal.raise_signal(signal.SIGBREAK)
        say("finished")
    say("goes on")
    """
    with Program(text) as program:
        assert program.end() != 0, program.output
    assert program.lines == ["finished"]


def test_behind_a_stop_the_first_further_one_does_nothing() -> None:
    text = """
    import atexit
    def lingers():
        say("lingers")
        sys.stdin.readline()
        say("ends well")
    atexit.register(lingers)
    async def main(app):
        say("ready")
        await app.stop.wait()
    exeunt.run(main)
    """
    with Program(text) as program:
        program.until("ready")
        program.deliver("ctrl-c")
        program.until("lingers")
        program.deliver("ctrl-c")
        program.say("go on")
        assert program.end() == 0, program.output
    assert program.lines == ["ready", "lingers", "ends well"]


def test_no_loop_says_a_word_while_it_closes() -> None:
    """P59: the proactor has a read of its own pipe in flight, whenever it is stopped."""
    text = """
    import logging
    logging.basicConfig(level=logging.WARNING, stream=sys.stdout)

    async def main(app, turns):
        async def serve(reader, writer):
            await reader.read()
        server = exeunt.GracefulServer(serve, "127.0.0.1")
        await server.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        for _ in range(turns):
            await asyncio.sleep(0)
        threading.Thread(target=app.request_stop, args=("a thread",)).start()
        await app.stop.wait()
        writer.close()

    for turns in range(20):
        async def body(app, turns=turns):
            await main(app, turns)
        exeunt.run(body)
    say("all")
    """
    with Program(text) as program:
        assert program.end() == 0, program.output
    assert program.lines == ["all"]


@pytest.mark.parametrize("event", EVENTS)
def test_a_start_goes_on_and_nothing_further_starts(event: str) -> None:
    text = """
    class Service:
        def __init__(self, name):
            self.name = name
        async def start(self):
            say("starting", self.name)
            lifecycle = exeunt.current_app().lifecycle
            while self.name == "second" and not lifecycle.is_stopping:
                await asyncio.sleep(0.01)
            say("started", self.name)
        async def stop(self):
            say("stopped", self.name)

    exeunt.Application([Service("first"), Service("second"), Service("third")]).run()
    """
    with Program(text) as program:
        program.until("starting second")
        program.deliver(event)
        assert program.end() == 0, program.output
    first = ["starting first", "started first", "starting second", "started second"]
    assert program.lines == [*first, "stopped second", "stopped first"]
