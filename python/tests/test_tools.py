"""URLs, forms, patterns, digests and codes."""

import hashlib
import hmac
import logging
import subprocess
import sys
import time
import zlib

import pytest

from exeunt import mongoose


@pytest.mark.parametrize(
    ("url", "port", "host", "user", "password", "uri"),
    [
        ("http://u:p@h.x:81/a?b#f", 81, "h.x", "u", "p", "/a?b#f"),
        ("https://h", 443, "h", "", "", "/"),
        ("http://h", 80, "h", "", "", "/"),
        ("ws://h/", 80, "h", "", "", "/"),
        ("wss://h", 443, "h", "", "", "/"),
        ("mqtt://h", 1883, "h", "", "", "/"),
        ("mqtts://h", 8883, "h", "", "", "/"),
        ("tcp://h", 0, "h", "", "", "/"),
        ("udp://0.0.0.0:0", 0, "0.0.0.0", "", "", "/"),
        ("h:80", 80, "h", "", "", "/"),
        ("//h/x", 0, "h", "", "", "/x"),
        ("", 0, "", "", "", "/"),
        ("http://", 80, "", "", "", "/"),
        ("http://[::1]:8/", 8, "[::1]", "", "", "/"),
        ("http://[::1]", 80, "[::1]", "", "", "/"),
        ("http://[::1", 80, "[::1", "", "", "/"),
        ("http://u@h.x:81/a", 81, "h.x", "u", "", "/a"),
        ("http://u:p%41:q@h/", 80, "h", "u", "p%41:q", "/"),
        ("http://:c@h/", 80, "h", "", "c", "/"),
        ("http://h/x:a@b:9", 80, "h", "", "", "/x:a@b:9"),
        ("http://h?x=1", 80, "h", "", "", "/?x=1"),
        ("http://h#f", 80, "h", "", "", "/"),
        ("http://h:", 0, "h", "", "", "/"),
        ("http://h:x", 0, "h", "", "", "/"),
        ("http://h:-5", 0, "h", "", "", "/"),
        ("http://h:65535", 65535, "h", "", "", "/"),
        ("http://h:65536", 0, "h", "", "", "/"),
        ("http://h:\u0663", 0, "h", "", "", "/"),
        ("http://h:" + "9" * 5000, 0, "h", "", "", "/"),
    ],
)
def test_urls_come_apart(
    url: str, port: int, host: str, user: str, password: str, uri: str
) -> None:
    assert mongoose.url_port(url) == port
    assert mongoose.url_host(url) == host
    assert mongoose.url_user(url) == user
    assert mongoose.url_pass(url) == password
    assert mongoose.url_uri(url) == uri


def test_schemes_with_tls() -> None:
    for scheme in ("https", "wss", "mqtts", "ssl", "tls", "HTTPS"):
        assert mongoose.url_is_ssl(f"{scheme}://h") is True
    for url in ("http://h", "ws://h", "tcp://h", "mqtt://h", "https", "h:443", ""):
        assert mongoose.url_is_ssl(url) is False


def test_urls_are_encoded() -> None:
    unreserved = "ABCXYZabcxyz0189-_.~"
    assert mongoose.url_encode(unreserved) == unreserved
    assert mongoose.url_encode("a b/ü+&\0") == "a%20b%2f%c3%bc%2b%26%00"
    assert mongoose.url_encode("") == ""
    with pytest.raises(UnicodeEncodeError):
        mongoose.url_encode("\ud800")


@pytest.mark.parametrize(
    ("text", "pattern", "captures"),
    [
        ("/a/b/c", "/a/*/c", ["b"]),
        ("/a/b/c", "/a/#", ["b/c"]),
        ("/a/b/c", "/a/*", None),
        ("/a/b/c", "/*/b/#", ["a", "c"]),
        ("abc", "a?c", ["b"]),
        ("aüc", "a?c", ["ü"]),
        ("a/b", "a?b", ["/"]),
        ("abc", "ab", None),
        ("", "", []),
        ("", "#", [""]),
        ("", "?", None),
        ("/x/y", "/#/#", ["x", "y"]),
    ],
)
def test_patterns(text: str, pattern: str, captures: list[str] | None) -> None:
    assert mongoose.match(text, pattern) == (captures is not None, captures or [])


@pytest.mark.parametrize(
    ("form", "name", "value"),
    [
        (b"a=1&b=2%203+4", "b", "2%203+4"),
        ("a=1&b=2", "b", "2"),
        (bytearray(b"a=1&b=2"), "c", None),
        (memoryview(b"A=1&a=2"), "a", "1"),
        (b"a", "a", ""),
        (b"a=", "a", ""),
        (b"a=b=c", "a", "b=c"),
        (b"=1", "", "1"),
        (b"", "", None),
        (b"&&a=1", "a", "1"),
        (b"ab=1", "a", None),
        ("ü=ä", "ü", "ä"),
        (b"a=\xff", "a", "\udcff"),
    ],
)
def test_form_variables(form: str | bytes, name: str, value: str | None) -> None:
    assert mongoose.http_var(form, name) == value


FORM = (
    b'--b\r\nContent-Disposition: form-data; name="f"; filename="x.txt"\r\n\r\nhe\0llo\r\n'
    b'--b\r\nContent-Disposition: form-data; name="g"\r\n\r\nbye\r\n--b--\r\n'
)


def test_multipart_forms() -> None:
    offset, first = mongoose.http_parse_multipart(FORM)
    assert first == {"name": "f", "filename": "x.txt", "body": b"he\0llo"}
    offset, second = mongoose.http_parse_multipart(FORM, offset)
    assert second == {"name": "g", "filename": "", "body": b"bye"}
    assert mongoose.http_parse_multipart(FORM, offset) == (0, None)
    assert mongoose.http_parse_multipart(FORM.decode())[1] == first
    assert mongoose.http_parse_multipart(bytearray(FORM))[1] == first


def test_what_is_no_form_has_no_parts() -> None:
    for body in (b"", b"x", b"\r\n", b"--", FORM[:90]):
        offset = 0 if body != FORM[:90] else mongoose.http_parse_multipart(body)[0]
        assert mongoose.http_parse_multipart(body, offset) == (0, None)
    for offset in (len(FORM), len(FORM) + 1, 10**6, 2**64):
        assert mongoose.http_parse_multipart(FORM, offset) == (0, None)
    for offset in (-1, -(2**70)):
        with pytest.raises(OverflowError):
            mongoose.http_parse_multipart(FORM, offset)


@pytest.mark.parametrize("data", [b"", b"a", "ü", bytearray(b"ab"), memoryview(b"abcd")[::2]])
def test_digests(data: str | bytes) -> None:
    raw = data.encode() if isinstance(data, str) else bytes(data)
    assert mongoose.md5(data) == hashlib.md5(raw).digest()
    assert mongoose.sha1(data) == hashlib.sha1(raw).digest()
    assert mongoose.sha256(data) == hashlib.sha256(raw).digest()
    assert mongoose.hmac_sha256(data, b"x") == hmac.digest(raw, b"x", "sha256")
    assert mongoose.hmac_sha256(b"x", data) == hmac.digest(b"x", raw, "sha256")
    assert mongoose.crc32(data) == zlib.crc32(raw)
    assert mongoose.base64_decode(mongoose.base64_encode(data)) == raw


def test_numbers_are_no_data() -> None:
    for function in (mongoose.md5, mongoose.sha1, mongoose.sha256, mongoose.base64_encode):
        for wrong in (5, None, ["a"]):
            with pytest.raises(TypeError):
                function(wrong)  # type: ignore[arg-type]


def test_crc_goes_on() -> None:
    assert mongoose.crc32(b"c", mongoose.crc32(b"ab")) == zlib.crc32(b"abc") == 891568578
    assert mongoose.crc32(b"c", initial=5) == zlib.crc32(b"c", 5)
    for wrong in (-1, 2**32):
        with pytest.raises(OverflowError, match=str(wrong)):
            mongoose.crc32(b"c", wrong)


def test_base64() -> None:
    assert mongoose.base64_encode(b"hello\xff\xfe") == "aGVsbG///g=="
    assert mongoose.base64_encode("hello") == "aGVsbG8="
    assert mongoose.base64_decode("aGVsbG8=") == mongoose.base64_decode("aGVsbG8") == b"hello"
    assert mongoose.base64_decode("a" * 8000) == b"\x69\xa6\x9a" * 2000
    for wrong in ("!!!", "aGVs bG8=", "-_-_", "a", "aGVs!G8=", "ü", ""):
        assert mongoose.base64_decode(wrong) == b""


def test_randomness() -> None:
    assert mongoose.random_bytes(0) == b""
    assert mongoose.random_str(0) == ""
    assert len(mongoose.random_bytes(100)) == 100
    assert mongoose.random_bytes(16) != mongoose.random_bytes(16)
    text = mongoose.random_str(10_000)
    assert len(text) == 10_000
    assert text.isascii()
    assert text.isalnum()
    assert len(set(text)) == 62
    for function in (mongoose.random_bytes, mongoose.random_str):
        with pytest.raises(OverflowError, match="-1"):
            function(-1)


def test_milliseconds_follow_the_monotonic_clock() -> None:
    before = time.monotonic_ns() // 1_000_000
    now = mongoose.millis()
    assert before <= now <= time.monotonic_ns() // 1_000_000


def test_the_log_level_is_the_loggers() -> None:
    # In a process of its own: it is the process's.
    program = (
        "import sys; from exeunt import mongoose\n"
        "print(mongoose.log_get(), 'logging' in sys.modules)\n"
        "import logging; logger = logging.getLogger('exeunt.mongoose')\n"
        "for level in (4, 3, 2, 1, 0, -1, 99, True):\n"
        "    mongoose.log_set(level); print(mongoose.log_get(), logger.level)"
    )
    command = [sys.executable, "-c", program]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=50)
    debug, info, error = logging.DEBUG, logging.INFO, logging.ERROR
    off = logging.CRITICAL + 10
    levels = [(4, 1), (3, debug), (2, info), (1, error), (0, off), (-1, off), (99, 1), (1, error)]
    said = [tuple(line.split()) for line in ran.stdout.splitlines()]
    assert said == [("0", "False"), *((str(ours), str(theirs)) for ours, theirs in levels)]
    with pytest.raises(TypeError):
        mongoose.log_set("x")  # type: ignore[arg-type]
