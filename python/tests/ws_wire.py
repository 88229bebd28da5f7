"""What the tests of WebSockets share: an echo, the request for one, frames and a foreign client."""

from typing import Any

import websocket
from wire import LIMIT

from exeunt.mongoose import (
    MG_EV_HTTP_MSG,
    MG_EV_WS_MSG,
    WEBSOCKET_OP_BINARY,
    WEBSOCKET_OP_TEXT,
    Connection,
)

CLOSE = 8
UPGRADE = (
    b"GET /chat?x=1 HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def echo(conn: Connection, ev: int, data: Any) -> None:
    if ev == MG_EV_HTTP_MSG:
        conn.ws_upgrade(data)
    elif ev == MG_EV_WS_MSG:
        conn.ws_send(data.data, WEBSOCKET_OP_BINARY if data.flags & 2 else WEBSOCKET_OP_TEXT)


def frame(op: int, payload: bytes, first: int = 0x80) -> bytes:
    """As a client sends it, masked with zeros."""
    assert len(payload) < 126
    return bytes([first | op, 0x80 | len(payload)]) + bytes(4) + payload


def talking(port: int, **options: Any) -> websocket.WebSocket:
    return websocket.create_connection(f"ws://127.0.0.1:{port}/chat", timeout=LIMIT, **options)
