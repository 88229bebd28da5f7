"""What a client asks."""

import json
from typing import TYPE_CHECKING, Any

from .websocket import WebSocket

if TYPE_CHECKING:
    from .conversation import Conversation
    from .response import Header
    from .server import Server

Peer = tuple[str, int] | str | None


class Request:
    """A whole HTTP request.

    It stays as it is for as long as it is kept, also when the client is gone.
    """

    __slots__ = ("_conversation", "_exchange", "body", "method", "path", "query")

    method: str
    """As it was sent: methods are case-sensitive (RFC 9110 section 9.1)."""
    path: str
    """As it was sent: not decoded, without the query."""
    query: str
    """What stands behind the `?`, not decoded; empty if nothing does."""
    body: bytes
    """The whole content."""

    def __init__(self, conversation: "Conversation") -> None:
        exchange = conversation.exchange
        self._conversation = conversation
        self._exchange = exchange
        self.method = exchange.method
        self.path = exchange.path
        self.query = exchange.query
        self.body = exchange.body

    @property
    def target(self) -> str:
        """Path and query, as they were sent."""
        return self._exchange.target

    @property
    def headers(self) -> "list[Header]":
        """All fields in order, with their names as they were sent."""
        return self._exchange.headers()

    def header(self, name: str, default: str | None = None) -> str | None:
        """The first field of that name, in any case."""
        value = self._exchange.header(name)
        return default if value is None else value

    def param(self, name: str, default: str | None = None) -> str | None:
        """The first variable of that name in the query, decoded."""
        from urllib.parse import parse_qs

        values = parse_qs(self.query, keep_blank_values=True).get(name)
        return values[0] if values else default

    def text(self) -> str:
        """The body, which is to be UTF-8. Raises `UnicodeDecodeError` if it is not."""
        return self.body.decode()

    def json(self) -> Any:
        """The body, parsed. Raises `ValueError` if it is no JSON."""
        return json.loads(self.body)

    @property
    def peer(self) -> Peer:
        """The client's address and port; of a Unix socket the path, which is mostly empty."""
        return self._exchange.peer

    @property
    def is_tls(self) -> bool:
        """Whether it came by TLS."""
        return self._exchange.is_tls

    @property
    def server(self) -> "Server":
        """The server that has it."""
        return self._conversation.server

    @property
    def draining(self) -> bool:
        """Whether the server drains: a stream, or a long poll, should come to its end."""
        return self.server.draining

    async def wait_draining(self) -> None:
        """Waits until the server drains."""
        await self.server.wait_draining()

    async def websocket(
        self, *, subprotocol: str | None = None, headers: "tuple[Header, ...]" = ()
    ) -> WebSocket:
        """Answers this request, which asks for a WebSocket, with one (RFC 6455).

        Whatever the handler returns then is nobody's; when it returns, the WebSocket is closed with
        1000.

        Raises `UpgradeError` if the client asks for something else (it is answered with 426), or
        comes during a drain (503); `ValueError` for a header that is none; `ConnectionError` if the
        client is gone.
        """
        fields = list(headers)
        if subprotocol is not None:
            fields.append(("Sec-WebSocket-Protocol", subprotocol))
        return self._conversation.upgrade(fields)

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.target}>"
