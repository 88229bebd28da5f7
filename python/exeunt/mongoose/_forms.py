"""Forms and patterns."""

from .._native import _matches, _scan_multipart

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypedDict

    from ._digests import _Data

    class _Part(TypedDict):
        """A part of a form."""

        name: str
        filename: str
        body: bytes


def match(s: str, pattern: str) -> tuple[bool, list[str]]:
    """Whether the whole text is as the pattern says, and what stood where that has wildcards.

    `?` is any one character, `*` any number of characters but no `/`, `#` any number of any.
    """
    captures = _matches(s, pattern)
    return (False, []) if captures is None else (True, captures)


def http_var(buf: "_Data", name: str) -> str | None:
    """The first variable of that name, in any case, of a query or an urlencoded form (`a=1&b=2`).

    It comes as it stands there: `urllib.parse.unquote_plus` decodes it, and `HttpMessage.query_var`
    has it decoded. Bytes that are not UTF-8 come as lone surrogates (PEP 383). None if there is
    none.
    """
    text = (
        buf.encode("utf-8", "surrogateescape") if isinstance(buf, str) else bytes(memoryview(buf))
    )
    wanted = name.encode("utf-8", "surrogateescape").lower()
    for pair in text.split(b"&"):
        key, _, value = pair.partition(b"=")
        if pair and key.lower() == wanted:
            return value.decode("utf-8", "surrogateescape")
    return None


def http_parse_multipart(body: "_Data", offset: int = 0) -> "tuple[int, _Part | None]":
    """The part of a multipart/form-data body at that offset (bytes), and where the next one is.

    A part is a dict of `name`, `filename` (each empty if it has none) and `body`. At the end, or
    where there is no part, it is `(0, None)`. A negative offset is an OverflowError.
    """
    data = body.encode() if isinstance(body, str) else bytes(memoryview(body))
    found = _scan_multipart(data, offset)
    if found is None:
        return 0, None
    following, name, filename, content = found
    return following, {"name": name, "filename": filename, "body": content}
