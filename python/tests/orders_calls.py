"""What may be called, and with what: everything public, mostly as somebody would mean it."""

from dataclasses import dataclass
from random import Random
from typing import Any

from exeunt.mongoose import TlsOpts


@dataclass(frozen=True)
class Call:
    """One call: of what, which of them, what, with what."""

    kind: str
    index: int
    name: str
    arguments: tuple[Any, ...] = ()


GARBAGE: list[Any] = [
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

# What stands for something of the world: it is looked up when the call is made.
VIEW, CONNECTION, MANAGER, LISTENER = (
    Call(kind, 0, "") for kind in ("view", "connection", "manager", "listener")
)
HANDLER = [None, *(Call("self", 0, name) for name in ("handler", "raising", "ending")), 5]
CALLBACK = [*(Call("self", 0, name) for name in ("callback", "raising", "ending")), None]
TEXT = ["", "/", "text", "a\r\nb: c", "ü" * 300, "\0", "%41", "nothing/../here"]
BYTES = [b"", b"x", b"hello\0", b"z" * 70_000]
BODY = [*BYTES, *TEXT, bytearray(b"b"), memoryview(b"mm")]
CODE = [200, 200, 200, 204, 101, 304, 503, 0, -1, 99, 1000, 70_000]
NUMBER = [0, 1, 5, 100, -1, 2**40]
HEADERS = [
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
PEM = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"
TLS = [None, "ü", TlsOpts(skip_verification=True), TlsOpts(cert=PEM, key=PEM), TlsOpts(PEM)]
SCHEMES = ["http", "http", "tcp", "ws", "udp", "https", "mqtt"]
URL = [
    *(f"{scheme}://127.0.0.1:0" for scheme in SCHEMES),
    *("", "nonsense", "http://127.0.0.1:99999", "udp://[::1]:0", "http://\0:1", "unix:"),
]
PEER = [*(Call("url", index, scheme) for index, scheme in enumerate(SCHEMES)), *URL]

GETS = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 2
UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
FRAMES = b"\x81\x82\0\0\0\0hi\x89\x80\0\0\0\0"
SENT = [
    GETS,
    GETS,
    UPGRADE,
    UPGRADE + FRAMES,
    b"POST /x?a=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe",
    FRAMES,
    b"\x88\x82\0\0\0\0\x03\xe8",
    b"nonsense\r\n\r\n",
    b"\x16\x03\x01\0\x05hello",
    b"x" * 20_000,
]

CALLS: dict[str, dict[str, tuple[list[Any], ...]]] = {
    "manager": {
        "listen": (URL, HANDLER),
        "connect": (PEER, HANDLER),
        "ws_connect": (PEER, HANDLER),
        "poll": ([0, 1, 5],),
        "close": ([0, 0.01, 0.1],),
        "drain": ([0, 0.01, 0.05, -1],),
        "start": (),
        "stop": ([0, 0.01, 5],),
        "request_stop": (TEXT,),
        "report": (),
        "drain_report": (),
        "wakeup": ([*range(-1, 20)], BODY),
        "timer_add": ([0, 1, 3, 50, -1], CALLBACK),
        "connections": (),
        "wakeup_id": (),
        "_freed": (),
        "__enter__": (),
        "__exit__": ([None], [None], [None]),
        "__repr__": (),
    },
    "connection": {
        "reply": (CODE, BODY, HEADERS),
        "reply_json": ([{}, {"a": [1, None]}, "ü", float("nan"), b"x", object], CODE, HEADERS),
        "send": (BODY,),
        "recv_data": (NUMBER,),
        "send_data": (NUMBER,),
        "consume": (NUMBER,),
        "http_chunk": (BODY,),
        "http_sse": (TEXT, TEXT),
        "http_basic_auth": (TEXT, TEXT),
        "serve_dir": ([VIEW], TEXT),
        "serve_file": ([VIEW], [__file__, *TEXT]),
        "ws_upgrade": ([VIEW], HEADERS),
        "ws_send": (BODY, [1, 2, 8, 9, 10, 0, 77, -1]),
        "tls_init": (TLS,),
        "tls_free": (),
        "resolve": (TEXT,),
        "resolve_cancel": (),
        "set_handler": (HANDLER,),
        "drain": (),
        "close": (),
        "error": (TEXT,),
        "__setattr__": (["userdata", "userdata", "id", "nothing"], [CONNECTION, MANAGER, 5]),
        "__hash__": (),
        "__eq__": ([CONNECTION],),
        "__repr__": (),
        **{
            f"{prefix}_{what}": ()
            for prefix, whats in {
                "is": "listening client tls udp websocket readable writable full draining closing",
                "recv": "len size",
                "send": "len size",
                "local": "addr",
                "remote": "addr",
            }.items()
            for what in whats.split()
        },
        **dict.fromkeys(("id", "userdata", "handler"), ()),
    },
    "timer": {"cancel": (), "active": (), "__repr__": ()},
    "view": {
        "header": (TEXT, TEXT),
        "query_var": (TEXT,),
        "header_var": (TEXT, TEXT),
        **dict.fromkeys(["status", "headers", "method", "uri", "query", "proto"], ()),
        **dict.fromkeys(["body_text", "body_bytes", "text", "data", "flags"], ()),
        **dict.fromkeys(["__bool__", "__repr__"], ()),
    },
    "client": {
        "send": (SENT,),
        "recv": ([65_536],),
        "close": (),
        "shutdown": ([1],),
    },
}
# Those that do not end what they are made on, or are rare in programs, are made more often.
RARE = {"close", "__exit__", "start", "stop", "drain"}
# What they are given says how long they wait.
TIMED = {"poll", "close", "drain", "stop"}
KINDS = ["manager"] * 3 + ["connection"] * 8 + ["view"] * 2 + ["client"] * 4 + ["timer"]


def any_call(random: Random, kind: str | None = None) -> Call:
    """One of them."""
    kind = kind or random.choice(KINDS)
    name = random.choice(list(CALLS[kind]))
    if name in RARE and random.random() < 0.7:
        return any_call(random, kind)
    arguments = [random.choice(choices) for choices in CALLS[kind][name]]
    # Garbage, or nothing, could say: without limit, or for 25 s.
    if name in TIMED:
        return Call(kind, random.randrange(40), name, tuple(arguments))
    if arguments and random.random() < 0.15:
        arguments[random.randrange(len(arguments))] = random.choice(GARBAGE)
    while arguments and random.random() < 0.25:
        arguments.pop()
    return Call(kind, random.randrange(40), name, tuple(arguments))


def likely_answer(random: Random) -> Call:
    """What a handler would say to a request."""
    likely: dict[str, tuple[Any, ...]] = {
        "reply": (200, b"ok"),
        "reply_json": ({"a": 1},),
        "ws_upgrade": (VIEW,),
        "serve_file": (VIEW, __file__),
        "send": (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",),
        "http_sse": ("type", "data"),
    }
    name = random.choice([*likely, "ws_upgrade"])
    return Call("connection", 0, name, likely[name])
