"""What a handler answers."""

import json
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar, cast

T = TypeVar("T")

Body: TypeAlias = (
    bytes | bytearray | memoryview | str | dict[str, Any] | list[Any] | AsyncIterable[bytes | str]
)
Fields: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]
Header: TypeAlias = tuple[str, str]


@dataclass
class Response:
    """An answer: a status, header fields, and a body.

    The body may be bytes, a `str` (UTF-8), a `dict` or `list` (JSON), or an async iterable of bytes
    and `str`, which is sent as it comes, chunked, no faster than the client takes it.
    `Content-Type` is added according to that, unless it is there. `Content-Length`, `Date` and
    `Connection` are the server's.
    """

    status: int = 200
    headers: Fields = ()
    body: Body = b""

    def fields(self) -> list[Header]:
        """The header fields, in order, with `Content-Type`."""
        if isinstance(self.headers, Mapping):
            fields = list(cast("Mapping[str, str]", self.headers).items())
        else:
            fields = list(self.headers)
        has_type = any(name.lower() == "content-type" for name, _ in fields)
        if not has_type and (kind := _content_type(self.body)):
            fields.append(("Content-Type", kind))
        return fields

    def content(self) -> bytes | None:
        """The whole body; None if it comes bit by bit."""
        match self.body:
            case str():
                return self.body.encode()
            case bytes():
                return self.body
            case bytearray() | memoryview():
                return bytes(self.body)
            case dict() | list():
                return json.dumps(self.body, separators=(",", ":"), ensure_ascii=False).encode()
            case AsyncIterable():
                return None
        raise TypeError(f"a response's body is {type(self.body).__name__}: {_WANTED}")


Answer: TypeAlias = Response | Body

_WANTED = "return a Response, bytes, str, dict, list or an async iterable"


def response_of(answer: object) -> Response:
    """What a handler has returned, as a response.

    Raises `TypeError` for what is none: `None` above all, since a handler that forgets its answer
    should be found out.
    """
    match answer:
        case Response():
            return answer
        case EventStream():
            return answer.response()
        case str() | bytes() | bytearray() | memoryview() | dict() | list() | AsyncIterable():
            return Response(body=answer)
    raise TypeError(f"a handler returned {type(answer).__name__}: {_WANTED}")


def _content_type(body: Body) -> str:
    match body:
        case str():
            return "text/plain; charset=utf-8"
        case dict() | list():
            return "application/json"
        case bytes() | bytearray() | memoryview() if not body:
            return ""
    return "application/octet-stream"


@dataclass
class ServerSentEvent:
    """One event of an `EventStream`.

    `retry` is how many milliseconds the client is to wait before it connects again.
    """

    data: str = ""
    event: str = ""
    id: str | None = None
    retry: int | None = None

    def encode(self) -> bytes:
        """As it stands in the stream (HTML Living Standard, "Server-sent events")."""
        for name, value in (("event", self.event), ("id", self.id or "")):
            if any(character in value for character in "\r\n\0"):
                raise ValueError(
                    f"the {name} of an event is {value!r}: it may have no CR, LF or NUL"
                )
        lines = [f"event: {self.event}"] if self.event else []
        lines += [f"id: {self.id}"] if self.id is not None else []
        lines += [f"retry: {self.retry}"] if self.retry is not None else []
        lines += [f"data: {line}" for line in _lines(self.data)]
        return ("\n".join(lines) + "\n\n").encode()


def _lines(text: str) -> Sequence[str]:
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


@dataclass
class EventStream(AsyncIterable[bytes]):
    """Server-sent events as an answer, from an async iterable of events (or `str`, their data).

    It is sent as it comes, and lasts until the iterable ends, or the client goes: that cancels the
    handler's task. A drain waits for its end; look at `Request.draining`, or wait for
    `Request.wait_draining`, and return.
    """

    events: AsyncIterable["ServerSentEvent | str"]
    headers: Fields = ()

    def response(self) -> Response:
        """The response that it is."""
        fields = Response(headers=self.headers).fields()
        named = {name.lower() for name, _ in fields}
        own = [("Content-Type", "text/event-stream"), ("Cache-Control", "no-store")]
        fields += [(name, value) for name, value in own if name.lower() not in named]
        return Response(200, fields, self)

    def __aiter__(self) -> AsyncGenerator[bytes, None]:
        return self._encoded()

    async def _encoded(self) -> AsyncGenerator[bytes, None]:
        async with closing(self.events) as events:
            async for event in events:
                yield (ServerSentEvent(event) if isinstance(event, str) else event).encode()


@asynccontextmanager
async def closing(pieces: AsyncIterable[T]) -> AsyncGenerator[AsyncIterator[T], None]:
    """Iterates, and closes what it iterates over, however that ends: a generator's `finally` runs
    now, not some day."""
    iterator = aiter(pieces)
    try:
        yield iterator
    finally:
        if isinstance(iterator, AsyncGenerator):
            await iterator.aclose()
