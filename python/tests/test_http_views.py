"""What a handler sees of a request (P11)."""

from collections.abc import Callable
from typing import Any

import pytest
from wire import GET, asked, serving, told

from exeunt.mongoose import MG_EV_HTTP_HDRS, MG_EV_HTTP_MSG, Connection, HttpMessage


def looked(look: Callable[[HttpMessage], object], request: bytes, code: int = 200) -> object:
    """What that sees of the request."""
    seen: list[object] = []

    def answer(conn: Connection, data: HttpMessage) -> None:
        seen.append(look(data))
        conn.reply(code)

    told(answer, request)
    assert len(seen) == 1
    return seen[0]


def test_a_view_shows_the_request() -> None:
    request = (
        b"POST /a%20b?x=1+2&y=%41&e=&x=3 HTTP/1.1\r\nHost: test\r\n"
        b"X-Thing:  one \r\nx-thing: two\r\nX-Raw: \xff\r\n"
        b"Content-Length: 6\r\n\r\nf\xc3\xbcr\x00\xff"
    )
    seen: dict[str, Any] = {}

    def answer(conn: Connection, data: HttpMessage) -> None:
        seen["line"] = (data.method, data.uri, data.query, data.proto, data.status())
        seen["body"] = (data.body_bytes, data.body_text)
        seen["headers"] = data.headers()
        seen["header"] = [data.header(name) for name in ("x-THING", "x-raw", "none")]
        seen["default"] = (data.header("none", "else"), data.header("none", default=None))
        seen["query"] = [data.query_var(name) for name in ("x", "y", "e", "none", "")]
        seen["true"] = bool(data)
        seen["repr"] = repr(data)
        seen["raw"] = conn.recv_data()
        seen["sizes"] = conn.recv_len, conn.recv_size >= conn.recv_len, conn.recv_data(4)
        conn.reply(200)

    told(answer, request)
    assert seen["line"] == ("POST", "/a%20b", "x=1+2&y=%41&e=&x=3", "HTTP/1.1", 0)
    assert seen["body"] == (b"f\xc3\xbcr\x00\xff", "für\x00\udcff")
    assert seen["headers"] == [
        ("Host", "test"),
        ("X-Thing", "one"),
        ("x-thing", "two"),
        ("X-Raw", "\udcff"),
        ("Content-Length", "6"),
    ]
    assert seen["header"] == ["one", "\udcff", None]
    assert seen["default"] == ("else", None)
    assert seen["query"] == ["1 2", "A", "", None, None]
    assert seen["true"] is True
    assert seen["repr"] == '<HttpMessage "POST" "/a%20b?x=1+2&y=%41&e=&x=3">'
    assert seen["raw"] == request, "at HTTP_MSG the raw request is still there"
    assert seen["sizes"] == (len(request), True, b"POST")


def test_a_view_is_empty_when_its_handler_has_returned() -> None:
    views: list[HttpMessage] = []

    def handler(conn: Connection, ev: int, data: Any) -> None:
        if ev in (MG_EV_HTTP_HDRS, MG_EV_HTTP_MSG):
            assert data
            views.append(data)
            if ev == MG_EV_HTTP_MSG:
                conn.reply(200)

    with serving(handler) as port:
        asked(port, GET)
    assert len(views) == 2
    for view in [*views, HttpMessage.__new__(HttpMessage)]:
        assert not view
        assert (view.method, view.uri, view.query, view.proto) == ("", "", "", "")
        assert (view.body_bytes, view.body_text, view.headers()) == (b"", "", [])
        assert (view.status(), view.query_var("x"), view.header_var("Host", "x")) == (
            None,
            None,
            None,
        )
        assert (view.header("Host"), view.header("Host", "else")) == (None, "else")
        assert "returned" in repr(view)


@pytest.mark.parametrize(
    ("header", "name", "value"),
    [
        ('a=1; b="two; words", c=3', "a", "1"),
        ('a=1; b="two; words", c=3', "b", "two; words"),
        ('a=1; b="two; words", c=3', "c", "3"),
        ("aa=1; a=2", "a", "2"),
        ('Digest realm="r", a', "realm", "r"),
        ("a=", "a", ""),
        ('a="open', "a", "open"),
        ("a=b=c", "a", "b=c"),
        ("A=1", "a", None),
        ("a=1", "", None),
        (";;, =x", "x", None),
    ],
)
def test_header_var_gives_str_or_none(header: str, name: str, value: str | None) -> None:
    request = f"GET / HTTP/1.1\r\nHost: test\r\nCookie: {header}\r\n\r\n".encode()
    assert looked(lambda data: data.header_var("cookie", name), request) == value


@pytest.mark.parametrize(
    ("line", "method", "uri"),
    [
        ("CONNECT example.org:443 HTTP/1.1", "CONNECT", "example.org:443"),
        ("OPTIONS * HTTP/1.1", "OPTIONS", "*"),
        ("GET http://example.org/p?x HTTP/1.1", "GET", "/p"),
        ("GET /p HTTP/1.0", "GET", "/p"),
    ],
)
def test_uri_has_the_form_of_its_method(line: str, method: str, uri: str) -> None:
    request = f"{line}\r\nHost: test\r\n\r\n".encode()
    assert looked(lambda data: (data.method, data.uri), request, 400) == (method, uri)


def test_query_var_decodes_long_values() -> None:
    request = b"GET /?a=b&long=" + b"%41+" * 2000 + b" HTTP/1.1\r\nHost: test\r\n\r\n"
    assert looked(lambda data: data.query_var("long"), request) == "A " * 2000


def test_five_hundred_headers_do_not_crash() -> None:
    fields = "".join(f"X-{number}: {number}\r\n" for number in range(500))
    request = f"GET / HTTP/1.1\r\nHost: test\r\n{fields}\r\n".encode()
    assert looked(lambda data: len(data.headers()), request) == 501
