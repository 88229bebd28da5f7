"""What a client may take of a server."""

from dataclasses import dataclass

_MIB = 1024 * 1024


@dataclass(frozen=True)
class ServerLimits:
    """What one client, and all together, may take of memory and time; in service as in a drain.

    Sizes are in bytes, times in seconds.
    """

    head_bytes: int = 64 * 1024
    """The largest request head; beyond it, 431."""
    head_seconds: float = 30.0
    """From a head's first byte to its last."""
    body_bytes: int = 8 * _MIB
    """The largest request body; beyond it, 413."""
    body_stall_seconds: float = 30.0
    """The longest silence in the middle of a body, or of a WebSocket message: then 408, or 1008."""
    idle_seconds: float = 75.0
    """The longest silence between two requests of a kept connection; then it closes."""
    idle_grace_seconds: float = 0.25
    """In a drain, a connection closes that has been silent for so long."""
    write_stall_seconds: float = 60.0
    """How long a client may take nothing of what waits for it; then it is reset."""
    half_closed_seconds: float = 10.0
    """How long a client that has ended its side waits for a further byte of its answer.

    One that has gone is found out at once, in HTTP/1.1 by a `100 Continue` that it would skip
    (RFC 9110 section 15.2); one that reads on may find the time too short.
    """
    message_bytes: int = 16 * _MIB
    """The largest WebSocket message; beyond it, Close 1009."""
    ping_seconds: float | None = None
    """A WebSocket that is silent for so long is sent a ping; and after as long again, Close 1011.
    """
    close_seconds: float = 10.0
    """How long the peer's Close is awaited behind ours."""
    close_spread_seconds: float = 0.0
    """In a drain, over how long the Closes of all WebSockets are spread, against reconnect storms.
    """
    connections: int = 50_000
    """Open connections; beyond it, clients wait in the listener's queue."""
