"""Calls of everything in any order, with any arguments, from anywhere: a program of its own.

    orders.py SECONDS LOG

It ends with 0 after so many seconds, unless a call crashes the process, hangs, or raises what is
not documented. LOG is of the last example.
"""

import faulthandler
import gc
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from orders_world import Call, PlannedEnd, World

# One example takes a fraction of a second; one that takes this long hangs.
HANG_S = 120

LOG: Any = None

INDEX = st.integers(0, 9)
GARBAGE: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        -1,
        2**31,
        2**64,
        -(2**70),
        1.5,
        float("nan"),
        "",
        "\0",
        "ü\ud800",
        b"",
        b"\xff\0" * 9,
        [],
        {},
        object,
        ...,
    ]
)
TEXT = st.sampled_from(["", "/", "text", "a\r\nb: c", "ü" * 300, "\0", "%41", "nothing/../here"])
BYTES = st.sampled_from([b"", b"x", b"hello\0", b"z" * 70_000])
BODY = st.one_of(BYTES, TEXT)
CODE = st.sampled_from([200, 204, 101, 304, 503, 0, -1, 99, 1000, 70_000])
HEADERS = st.sampled_from(
    [
        None,
        {},
        {"X-A": "b"},
        {"Content-Type": "a/b", "content-length": "7"},
        {"Transfer-Encoding": "chunked"},
        {"Connection": "close"},
        {"bad name": "x"},
        {"X": "a\r\nb"},
        {"": ""},
        {1: 2},
        [("a", "b")],
    ]
)
HANDLER = st.sampled_from(
    [None, *(Call("self", 0, name) for name in ("handler", "raising", "ending", "callback")), 5]
)
VIEW = st.builds(Call, st.just("view"), INDEX, st.just(""))
CONNECTION = st.builds(Call, st.just("connection"), INDEX, st.just(""))
URL = st.one_of(
    st.sampled_from(
        [
            f"{scheme}://127.0.0.1:0"
            for scheme in ("http", "tcp", "ws", "udp", "https", "mqtt", "wss")
        ]
    ),
    st.sampled_from(
        [
            "",
            "http://",
            "nonsense",
            "http://127.0.0.1:99999",
            "udp://[::1]:0",
            "http://\0:1",
            "unix:",
        ]
    ),
)
PEER = st.builds(
    Call, st.just("url"), INDEX, st.sampled_from(["http", "tcp", "ws", "udp", "https", "mqtt"])
)
NUMBER = st.sampled_from([0, 1, 5, 100, -1, 2**40])

# Of each kind what may be called, with strategies for what it is given (fewer may be given).
CALLS: dict[str, dict[str, tuple[Any, ...]]] = {
    "manager": {
        "listen": (URL, HANDLER),
        "connect": (st.one_of(PEER, URL), HANDLER),
        "ws_connect": (st.one_of(PEER, URL), HANDLER),
        "poll": (st.sampled_from([0, 1, 5]),),
        "close": (st.sampled_from([0, 0.01, 0.1]),),
        "wakeup": (st.integers(-1, 40), BODY),
        "timer_add": (st.sampled_from([0, 1, 3, 50, -1]), HANDLER),
        "drain": (st.sampled_from([0, 0.01, 0.05, -1]),),
        "start": (),
        "stop": (st.sampled_from([0, 0.01, 5]),),
        "connections": (),
        "_freed": (),
        "__enter__": (),
        "__exit__": (st.none(), st.none(), st.none()),
        "__repr__": (),
    },
    "connection": {
        "reply": (CODE, BODY, HEADERS),
        "reply_json": (
            st.sampled_from([{}, {"a": [1, None]}, "ü", float("nan"), b"x", object]),
            CODE,
            HEADERS,
        ),
        "send": (BODY,),
        "recv_data": (NUMBER,),
        "send_data": (NUMBER,),
        "http_chunk": (BODY,),
        "http_sse": (TEXT, TEXT),
        "http_basic_auth": (TEXT, TEXT),
        "serve_dir": (VIEW, TEXT),
        "serve_file": (VIEW, TEXT),
        "ws_upgrade": (VIEW, HEADERS),
        "ws_send": (BODY, st.sampled_from([1, 2, 8, 9, 10, 0, 77, -1])),
        "tls_init": (st.sampled_from([None, "ü"]),),
        "tls_free": (),
        "set_handler": (HANDLER,),
        "drain": (),
        "close": (),
        "error": (TEXT,),
        "__hash__": (),
        "__eq__": (CONNECTION,),
        "__repr__": (),
        "mqtt_pub": (TEXT, BYTES),
        "mqtt_sub": (TEXT,),
        **dict.fromkeys(
            (
                "id",
                "userdata",
                "local_addr",
                "remote_addr",
                "is_listening",
                "is_client",
                "is_tls",
                "is_udp",
                "is_websocket",
                "is_readable",
                "is_writable",
                "is_full",
                "is_draining",
                "is_closing",
                "recv_len",
                "send_len",
                "handler",
            ),
            (),
        ),
    },
    "timer": {"cancel": (), "active": (), "__repr__": ()},
    "view": {
        "status": (),
        "headers": (),
        "header": (TEXT, TEXT),
        "query_var": (TEXT,),
        "header_var": (TEXT, TEXT),
        "__bool__": (),
        "__repr__": (),
        **dict.fromkeys(
            (
                "method",
                "uri",
                "query",
                "proto",
                "body",
                "body_text",
                "body_bytes",
                "text",
                "data",
                "flags",
                "message",
            ),
            (),
        ),
    },
    "client": {
        "send": (
            st.sampled_from(
                [
                    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 2,
                    b"POST /x?a=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
                    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe",
                    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                    b"Sec-WebSocket-Version: 13\r\n"
                    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                    b"\x81\x82\0\0\0\0hi\x89\x80\0\0\0\0",
                    b"\x88\x82\0\0\0\0\x03\xe8",
                    b"nonsense\r\n\r\n",
                    b"\x16\x03\x01\0\x05hello",
                    b"x" * 20_000,
                ]
            ),
        ),
        "recv": (st.just(65_536),),
        "close": (),
        "shutdown": (st.just(1),),
    },
}


@st.composite
def calls(draw: st.DrawFn) -> Call:
    """Mostly as somebody would mean it, and sometimes not."""
    kind = draw(
        st.sampled_from(
            [
                "manager",
                "manager",
                "connection",
                "connection",
                "connection",
                "view",
                "client",
                "timer",
            ]
        )
    )
    name = draw(st.sampled_from(sorted(CALLS[kind])))
    arguments = [draw(strategy) for strategy in CALLS[kind][name]]
    # Without limit, or for days: that is what they would wait.
    if arguments and name not in ("poll", "stop", "drain") and draw(st.integers(0, 5)) == 0:
        arguments[draw(st.integers(0, len(arguments) - 1))] = draw(GARBAGE)
    while arguments and name != "stop" and draw(st.integers(0, 3)) == 0:
        arguments.pop()
    return Call(kind, draw(INDEX), name, tuple(arguments))


class Orders(RuleBasedStateMachine):
    """An example is some dozens of these, over a few managers."""

    def __init__(self) -> None:
        super().__init__()
        LOG.seek(0)
        LOG.truncate()
        self.world = World(lambda line: LOG.write(line + "\n"))
        faulthandler.dump_traceback_later(HANG_S, exit=True)

    @rule(handler=HANDLER, wakeup=st.booleans(), errors=HANDLER)
    def make(self, handler: Any, wakeup: bool, errors: Any) -> None:
        self.world.make((handler, wakeup, errors))

    @rule(handler=st.just(Call("self", 0, "handler")), url=URL)
    def serve(self, handler: Any, url: str) -> None:
        self.world.make((handler, True))
        self.world.call(Call("manager", len(self.world.managers) - 1, "listen", (url,)))

    @rule(call=calls())
    def call_it(self, call: Call) -> None:
        self.world.call(call)

    @rule(plans=st.lists(calls(), max_size=4))
    def call_it_in_a_handler(self, plans: list[Call]) -> None:
        self.world.plans.extend(plans)

    @rule(call=calls())
    def call_it_in_a_thread(self, call: Call) -> None:
        self.world.in_thread(call)

    @rule(index=INDEX, times=st.integers(1, 5))
    def turn(self, index: int, times: int) -> None:
        for _ in range(times):
            self.world.call(Call("manager", index, "poll", (1,)))

    @rule(index=INDEX)
    def turn_without_limit(self, index: int) -> None:
        self.world.poll_without_limit(index)

    @rule(index=INDEX)
    def run_it(self, index: int) -> None:
        self.world.run(index)

    @rule(index=INDEX, data=BYTES, name=st.sampled_from(["GET / HTTP/1.1\r\nHost: a\r\n\r\n", ""]))
    def connect(self, index: int, data: bytes, name: str) -> None:
        self.world.connect_client(index)
        self.world.call(
            Call("client", len(self.world.clients) - 1, "send", (name.encode() or data,))
        )

    @rule(index=INDEX)
    def forget(self, index: int) -> None:
        self.world.forget(index)

    @rule()
    def signal_it(self) -> None:
        os.kill(os.getpid(), signal.SIGUSR1)

    @rule()
    def collect(self) -> None:
        gc.collect()

    def teardown(self) -> None:
        self.world.end()


def main() -> None:
    global LOG
    seconds, log = float(sys.argv[1]), Path(sys.argv[2])
    faulthandler.enable()
    for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    undocumented: list[object] = []

    def unraisable(what: "sys.UnraisableHookArgs") -> None:
        # Of what handlers raise in one call, the first leaves it.
        if not isinstance(what.exc_value, PlannedEnd):
            undocumented.append(what)

    # Of the handlers' errors: those without an error handler are printed, thousands of times.
    sys.stderr = log.with_suffix(".stderr").open("w")
    sys.unraisablehook = unraisable
    threading.excepthook = undocumented.append
    LOG = log.open("w", buffering=1)
    # What is there already need not be looked at by every collection.
    gc.freeze()
    began = time.monotonic()
    examples = 0
    how = settings(
        max_examples=20,
        stateful_step_count=40,
        deadline=None,
        database=None,
        print_blob=False,
        phases=[Phase.generate],
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
            HealthCheck.large_base_example,
            HealthCheck.filter_too_much,
        ],
    )
    while time.monotonic() - began < seconds:
        run_state_machine_as_test(Orders, settings=how)  # type: ignore[no-untyped-call]
        examples += how.max_examples
        if undocumented:
            sys.exit(f"undocumented: {undocumented}")
    print(f"{examples} examples in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
