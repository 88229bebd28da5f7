"""Calls in odd places: they raise what is documented, or do what they say, and nothing crashes."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import Any

import pytest
from running import program
from wire import GET, asked, connected, is_readable, loop, port_of, serving, split
from ws_wire import UPGRADE

from exeunt.mongoose import (
    MG_EV_ACCEPT,
    MG_EV_CLOSE,
    MG_EV_ERROR,
    MG_EV_HTTP_HDRS,
    MG_EV_HTTP_MSG,
    MG_EV_OPEN,
    MG_EV_POLL,
    MG_EV_READ,
    MG_EV_WRITE,
    MG_EV_WS_CTL,
    MG_EV_WS_MSG,
    MG_EV_WS_OPEN,
    Connection,
    HttpMessage,
    TlsOpts,
    WsMessage,
)

EVENTS = (
    MG_EV_OPEN,
    MG_EV_ACCEPT,
    MG_EV_READ,
    MG_EV_WRITE,
    MG_EV_HTTP_HDRS,
    MG_EV_HTTP_MSG,
    MG_EV_WS_OPEN,
    MG_EV_WS_MSG,
    MG_EV_WS_CTL,
    MG_EV_CLOSE,
)
VIEW = HttpMessage.__new__(HttpMessage)
CALLS: dict[str, Callable[[Connection, Any], object]] = {
    "send": lambda conn, data: conn.send("x"),
    "reply": lambda conn, data: conn.reply(200, "x"),
    "reply 100": lambda conn, data: conn.reply(100),
    "reply 101": lambda conn, data: conn.reply(101),
    "reply 503": lambda conn, data: conn.reply(503),
    "reply chunked": lambda conn, data: conn.reply(200, "x", {"Transfer-Encoding": "chunked"}),
    "reply_json": lambda conn, data: conn.reply_json([]),
    "http_chunk": lambda conn, data: conn.http_chunk("x"),
    "http_chunk end": lambda conn, data: conn.http_chunk(""),
    "http_sse": lambda conn, data: conn.http_sse("a", "b"),
    "http_basic_auth": lambda conn, data: conn.http_basic_auth("a", "b"),
    "serve_dir": lambda conn, data: conn.serve_dir(data or VIEW, "/nowhere"),
    "serve_file": lambda conn, data: conn.serve_file(data or VIEW, "/dev/zero"),
    "ws_upgrade": lambda conn, data: conn.ws_upgrade(data or VIEW),
    "ws_send": lambda conn, data: conn.ws_send("x"),
    "ws_send close": lambda conn, data: conn.ws_send(b"", 8),
    "tls_init": lambda conn, data: conn.tls_init(TlsOpts(cert="x", key="y")),
    "tls_free": lambda conn, data: conn.tls_free(),
    "resolve": lambda conn, data: conn.resolve("tcp://127.0.0.1:1"),
    "resolve_cancel": lambda conn, data: conn.resolve_cancel(),
    "set_handler": lambda conn, data: conn.set_handler(None),
    "consume": lambda conn, data: conn.consume(),
    "drain": lambda conn, data: conn.drain(),
    "close": lambda conn, data: conn.close(),
}
FRAMES = b"\x81\x81\0\0\0\0x\x89\x80\0\0\0\0\x88\x80\0\0\0\0"


class Trial:
    """A handler that makes one call in one event, before or behind what it does itself there."""

    def __init__(self, call: Callable[[Connection, Any], object]) -> None:
        self.call = call
        self.event = -1
        self.first = True
        self.opened = 0

    def __call__(self, conn: Connection, ev: int, data: Any) -> None:
        if conn.is_listening:
            return
        self.opened += ev == MG_EV_OPEN
        if ev == self.event and self.first:
            self.attempt(conn, data)
        if ev == MG_EV_HTTP_MSG and not conn.is_websocket:
            # The call may have answered, or closed it.
            with suppress(RuntimeError) if self.event != -1 else nullcontext():
                if data.header("upgrade"):
                    conn.ws_upgrade(data)
                else:
                    conn.reply(200)
        if ev == self.event and not self.first:
            self.attempt(conn, data)

    def attempt(self, conn: Connection, data: Any) -> None:
        with suppress(RuntimeError, ValueError):
            self.call(conn, data if isinstance(data, HttpMessage) else None)


@pytest.mark.parametrize("name", CALLS)
def test_every_call_in_every_event(name: str) -> None:
    """On HTTP, on a WebSocket and on plain TCP: it raises what is documented, and no more."""
    trial = Trial(CALLS[name])
    with loop(trial) as at:
        web, raw = at.listen(), at.listen("tcp://127.0.0.1:0")
        clients = ((web, GET + GET), (web, UPGRADE + FRAMES), (raw, b"raw"))
        for trial.first in (True, False):
            for trial.event in EVENTS:
                for port, words in clients:
                    trial.opened = 0
                    with connected(port) as sock:
                        sock.sendall(words)
                        at.until(lambda: trial.opened)
                        at.turns(4)
                    for conn in at.manager.connections[2:]:
                        conn.close()
                    at.until(lambda: len(at.manager.connections) == 2)
        trial.event = -1
        with connected(web) as sock:
            sock.sendall(GET)
            at.until(lambda: is_readable(sock))
            assert sock.recv(99).startswith(b"HTTP/1.1 200 "), "the server goes on"


def test_close_and_errors_inside_ws_open() -> None:
    told: list[int] = []

    def handler(conn: Connection, ev: int, data: Any) -> None:
        told.append(ev)
        if ev == MG_EV_HTTP_MSG:
            conn.ws_upgrade(data)
            assert conn.is_closing
            with pytest.raises(RuntimeError, match="closed"):
                conn.ws_send("x")
        elif ev == MG_EV_WS_OPEN:
            conn.close()
            raise LookupError("in WS_OPEN")

    with loop(handler) as at, connected(at.listen()) as sock:
        sock.sendall(UPGRADE)
        with pytest.raises(LookupError, match="in WS_OPEN"):
            at.until(lambda: MG_EV_CLOSE in told)
        at.until(lambda: MG_EV_CLOSE in told)


@pytest.mark.parametrize("request_", [UPGRADE, GET], ids=["ws_upgrade", "error"])
def test_what_leaves_poll_leaves_it_from_within_a_call_too(request_: bytes) -> None:
    raised: list[int] = []

    def handler(conn: Connection, ev: int, data: Any) -> None:
        if ev == MG_EV_HTTP_MSG and data.header("upgrade"):
            conn.ws_upgrade(data)
        elif ev == MG_EV_HTTP_MSG:
            conn.error("x")
        elif ev in (MG_EV_WS_OPEN, MG_EV_ERROR) and not raised:
            raised.append(ev)
            raise KeyboardInterrupt

    with loop(handler) as at, connected(at.listen()) as sock:
        sock.sendall(request_)
        with pytest.raises(KeyboardInterrupt):
            at.until(lambda: False)
        assert raised == [MG_EV_WS_OPEN if request_ is UPGRADE else MG_EV_ERROR]


NESTED = """
import sys
from exeunt.mongoose import MG_EV_ERROR, MG_EV_OPEN, Manager
# Of Python's frames; the stack would not do for so many.
sys.setrecursionlimit(50_000)
depth = 0
errors = []
def handler(conn, ev, data):
    global depth
    if ev == {event}:
        depth += 1
        {call}
manager = Manager(handler, error_handler=errors.append)
listener = manager.listen("tcp://127.0.0.1:0")
try:
    listener.error("first")
except RecursionError:
    sys.exit("told in another's place")
error, = errors
manager.poll(0)
print(type(error).__name__, error, listener.id == 0)
manager.close()
assert depth == 64, depth
"""


@pytest.mark.parametrize(
    ("event", "call"),
    [
        ("MG_EV_ERROR", "conn.error('again')"),
        ("MG_EV_OPEN", "manager.listen('tcp://127.0.0.1:0')"),
        ("MG_EV_OPEN", "manager.connect('tcp://127.0.0.1:1')"),
        ("MG_EV_OPEN", "manager.ws_connect('ws://127.0.0.1:1')"),
    ],
)
def test_handlers_in_handlers_end_before_the_stack_does(event: str, call: str) -> None:
    with program(NESTED.format(event=event, call=call)) as nested:
        status, out = nested.end()
    text = "64 handlers are in each other: one makes the event that it is called for"
    assert (status, out) == (0, f"RecursionError {text} True\n")


class Meddler(int):
    """A header's value that does something when it is written."""

    conn: Connection

    def __str__(self) -> str:
        self.conn.reply(202, "meddled")
        return "1"


def test_a_header_that_answers_by_itself_is_no_second_answer() -> None:
    def handler(conn: Connection, ev: int, data: Any) -> None:
        if ev == MG_EV_HTTP_MSG:
            value = Meddler(1)
            value.conn = conn
            with pytest.raises(RuntimeError, match="answered already"):
                conn.reply(200, "mine", {"X": value})

    with serving(handler) as port:
        status, _, body = split(asked(port, GET))
        assert (status, body) == (202, b"meddled")


def test_a_dict_that_changes_while_it_is_read() -> None:
    headers: dict[str, Any] = {}

    class Growing(float):
        def __str__(self) -> str:
            headers[f"X-{len(headers)}"] = "more"
            return "1.5"

    def handler(conn: Connection, ev: int, data: Any) -> None:
        if ev == MG_EV_HTTP_MSG:
            headers.update({"A": Growing(), "B": Growing()})
            conn.reply(200, "", headers)

    with serving(handler) as port:
        _, got, _ = split(asked(port, GET))
        assert (got["a"], got["b"]) == ("1.5", "1.5")


def test_objects_cannot_be_made_or_changed_from_outside() -> None:
    with pytest.raises(TypeError):
        Connection()  # type: ignore[call-arg, unused-ignore]
    for view in (HttpMessage(), WsMessage()):
        with pytest.raises(AttributeError):
            view.text = "x"  # type: ignore[union-attr, misc]
    with loop() as at:
        listener = at.manager.listen("tcp://127.0.0.1:0")
        for name in ("id", "is_client", "handler", "local_addr", "nothing"):
            with pytest.raises(AttributeError):
                setattr(listener, name, 1)
        with pytest.raises(AttributeError):
            del listener.userdata


def test_a_datagram_that_is_too_long_is_an_error() -> None:
    with loop() as at:
        listener = at.manager.listen("udp://127.0.0.1:0")
        conn = at.manager.connect(f"udp://127.0.0.1:{port_of(listener)}")
        with pytest.raises(RuntimeError, match="datagram could not be sent"):
            conn.send(bytes(70_000))
        assert conn.id > 0


FORKS = """
import os, sys
from exeunt.mongoose import Connection, Manager, TlsOpts

manager = Manager()
listener = manager.listen("tcp://127.0.0.1:0")
opts = TlsOpts(cert="x", key="y")
pid = os.fork()
if pid == 0:
    for name in dir(Connection):
        if name.startswith("__") and name != "__repr__":
            continue
        args = {
            "send": ["x"], "reply": [200], "reply_json": [1], "http_chunk": ["x"], "error": ["x"],
            "http_sse": ["a", "b"], "http_basic_auth": ["a", "b"], "ws_send": ["x"],
            "ws_upgrade": [None], "set_handler": [None], "tls_init": [opts], "resolve": ["tcp://a"],
        }
        if name in ("serve_dir", "serve_file"):
            continue
        try:
            value = getattr(listener, name)
            if callable(value):
                value(*args.get(name, []))
        except RuntimeError as error:
            if "before a fork" in str(error):
                continue
            raise
        sys.exit(f"{name} has raised nothing")
    os._exit(0)
_, status = os.waitpid(pid, 0)
assert listener.is_listening and listener.id == 1
manager.poll(0)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def test_in_a_forked_child_every_call_says_so() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", FORKS], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_poll_events_are_told_to_listeners() -> None:
    told: list[bool] = []
    with loop(
        lambda conn, ev, data: told.append(conn.is_listening) if ev == MG_EV_POLL else None
    ) as at:
        at.listen()
        at.turns()
    assert len(told) >= 3
    assert all(told)
