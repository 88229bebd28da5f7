"""A server and a client that speak TLS."""

from typing import Any

from wire import GET, Handler, Loop

from exeunt.mongoose import (
    MG_EV_ACCEPT,
    MG_EV_CONNECT,
    MG_EV_HTTP_MSG,
    MG_EV_OPEN,
    MG_EV_POLL,
    MG_EV_TLS_HS,
    Connection,
    TlsOpts,
    event_name,
)


def server(opts: TlsOpts) -> Handler:
    """Says hello by TLS, whatever the listener's URL."""

    def handler(conn: Connection, ev: int, data: Any) -> None:
        if ev == MG_EV_ACCEPT:
            conn.tls_init(opts)
            assert conn.is_tls
        elif ev == MG_EV_HTTP_MSG:
            conn.reply(200, "hello")

    return handler


class Asking:
    """A client that asks by TLS, and what it is told."""

    def __init__(self, opts: TlsOpts | None) -> None:
        self.opts = opts
        self.told: list[tuple[str, object]] = []

    def __call__(self, conn: Connection, ev: int, data: Any) -> None:
        if ev == MG_EV_CONNECT and self.opts is not None:
            conn.tls_init(self.opts)
        elif ev == MG_EV_TLS_HS:
            conn.send(GET)
        elif ev == MG_EV_HTTP_MSG:
            assert conn.is_tls
            data = (data.status(), data.body_text)
            conn.drain()
        if ev not in (MG_EV_POLL, MG_EV_OPEN):
            self.told.append((event_name(ev).removeprefix("MG_EV_"), data))

    @property
    def events(self) -> list[str]:
        return [name for name, _ in self.told]

    def of(self, name: str) -> object:
        """What came with that event."""
        return next((data for told, data in self.told if told == name), None)


def ask(at: Loop, port: int, opts: TlsOpts | None, host: str = "127.0.0.1") -> Asking:
    """Asks a server of this loop, to the end."""
    asking = Asking(opts)
    at.manager.connect(f"https://{host}:{port}", asking)
    at.until(lambda: "CLOSE" in asking.events)
    return asking
