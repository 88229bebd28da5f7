"""Headers of answers: which are taken, and which are refused (P12)."""

from collections.abc import Callable
from typing import Any

import pytest
from wire import split, told

from exeunt.mongoose import Connection, HttpMessage


@pytest.mark.parametrize("name", ["Content-Type", "content-type", "CONTENT-TYPE"])
def test_reply_adds_no_content_type_to_one_that_is_there(name: str) -> None:
    answer = told(lambda conn, _: conn.reply(200, "x", {name: "image/png"}))
    assert f"{name}: image/png\r\n".encode() in answer
    assert answer.lower().count(b"content-type") == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"X-One": "1", "X-Two": 2},
        [("X-One", "1"), ("X-Two", "2")],
        (("X-One", 1), ("X-Two", "2")),
        {"X-One": "1", "X-Two": "2"}.items(),
    ],
)
def test_headers_are_a_dict_or_pairs(headers: Any) -> None:
    answer = told(lambda conn, _: conn.reply(200, "", headers))
    assert b"X-One: 1\r\nX-Two: 2\r\n" in answer


def test_pairs_may_repeat_a_name() -> None:
    answer = told(
        lambda conn, _: conn.reply(200, "", [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
    )
    assert b"Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n" in answer


@pytest.mark.parametrize(
    ("headers", "error", "match"),
    [
        ({"X\r\n": "1"}, ValueError, "Header name.*illegal character"),
        ({"X\0": "1"}, ValueError, "Header name.*illegal character"),
        ({"X Y": "1"}, ValueError, "Header name.*illegal character"),
        ({"X": "1\r\nY: 2"}, ValueError, "Header value.*illegal character"),
        ({"X": "1\n"}, ValueError, "Header value.*illegal character"),
        ({"X": "\0"}, ValueError, "Header value.*illegal character"),
        ({"": "1"}, ValueError, "Header name is empty"),
        ({"X": "\udc80"}, ValueError, "surrogates not allowed"),
        ({b"X": "1"}, TypeError, "Header name b'X' is of type bytes"),
        ({"X": b"1"}, TypeError, "Header value b'1' is of type bytes"),
        ({"X": None}, TypeError, "Header value None"),
        ("X: 1", TypeError, "headers are a dict"),
        (3, TypeError, "headers are a dict"),
        ([("X", "1", "2")], TypeError, "headers are a dict"),
        (["XY"], TypeError, "headers are a dict"),
    ],
)
@pytest.mark.parametrize("way", ["reply", "reply_json", "ws_upgrade"])
def test_illegal_headers_are_refused_before_anything_is_sent(
    headers: Any, error: type[Exception], match: str, way: str
) -> None:
    upgrade = (
        b"GET / HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )

    def answer(conn: Connection, data: HttpMessage) -> None:
        calls: dict[str, Callable[[], None]] = {
            "reply": lambda: conn.reply(200, "x", headers),
            "reply_json": lambda: conn.reply_json(["x"], 200, headers),
            "ws_upgrade": lambda: conn.ws_upgrade(data, headers),
        }
        with pytest.raises(error, match=match):
            calls[way]()
        assert conn.send_len == 0
        conn.reply(204)

    assert split(told(answer, upgrade))[0] == 204
