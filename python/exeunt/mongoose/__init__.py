"""The event loop: a drop-in for programs that were written for the Mongoose event model.

`AsyncManager` and `Event` are imported when they are first used, for what they import themselves.
"""

import sys
from importlib import import_module

if sys.platform == "win32":
    raise ImportError(
        "exeunt.mongoose is not for Windows yet: its event loop is for POSIX systems. The rest of "
        "exeunt is there, but for exeunt.serve and exeunt.ProcessPool",
        name=__name__,
    )

from .._native import (
    Connection,
    DrainReport,
    HttpMessage,
    ListenerReport,
    Timer,
    TlsOpts,
    WsMessage,
)
from ._digests import (
    base64_decode,
    base64_encode,
    crc32,
    hmac_sha256,
    md5,
    millis,
    random_bytes,
    random_str,
    sha1,
    sha256,
)
from ._events import (
    MG_EV_ACCEPT,
    MG_EV_CLOSE,
    MG_EV_CONNECT,
    MG_EV_ERROR,
    MG_EV_HTTP_HDRS,
    MG_EV_HTTP_MSG,
    MG_EV_MQTT_CMD,
    MG_EV_MQTT_MSG,
    MG_EV_MQTT_OPEN,
    MG_EV_OPEN,
    MG_EV_POLL,
    MG_EV_READ,
    MG_EV_RESOLVE,
    MG_EV_SNTP_TIME,
    MG_EV_TLS_HS,
    MG_EV_USER,
    MG_EV_WAKEUP,
    MG_EV_WRITE,
    MG_EV_WS_CTL,
    MG_EV_WS_MSG,
    MG_EV_WS_OPEN,
    MG_LL_DEBUG,
    MG_LL_ERROR,
    MG_LL_INFO,
    MG_LL_NONE,
    MG_LL_VERBOSE,
    WEBSOCKET_OP_BINARY,
    WEBSOCKET_OP_PING,
    WEBSOCKET_OP_PONG,
    WEBSOCKET_OP_TEXT,
    event_name,
)
from ._forms import http_parse_multipart, http_var, match
from ._log import log_get, log_set
from ._manager import Manager
from ._urls import (
    url_encode,
    url_host,
    url_is_ssl,
    url_pass,
    url_port,
    url_uri,
    url_user,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._event import Event as Event
    from .aio import AsyncManager as AsyncManager

__all__ = [
    "MG_EV_ACCEPT",
    "MG_EV_CLOSE",
    "MG_EV_CONNECT",
    "MG_EV_ERROR",
    "MG_EV_HTTP_HDRS",
    "MG_EV_HTTP_MSG",
    "MG_EV_MQTT_CMD",
    "MG_EV_MQTT_MSG",
    "MG_EV_MQTT_OPEN",
    "MG_EV_OPEN",
    "MG_EV_POLL",
    "MG_EV_READ",
    "MG_EV_RESOLVE",
    "MG_EV_SNTP_TIME",
    "MG_EV_TLS_HS",
    "MG_EV_USER",
    "MG_EV_WAKEUP",
    "MG_EV_WRITE",
    "MG_EV_WS_CTL",
    "MG_EV_WS_MSG",
    "MG_EV_WS_OPEN",
    "MG_LL_DEBUG",
    "MG_LL_ERROR",
    "MG_LL_INFO",
    "MG_LL_NONE",
    "MG_LL_VERBOSE",
    "WEBSOCKET_OP_BINARY",
    "WEBSOCKET_OP_PING",
    "WEBSOCKET_OP_PONG",
    "WEBSOCKET_OP_TEXT",
    "AsyncManager",
    "Connection",
    "DrainReport",
    "Event",
    "HttpMessage",
    "ListenerReport",
    "Manager",
    "Timer",
    "TlsOpts",
    "WsMessage",
    "base64_decode",
    "base64_encode",
    "crc32",
    "event_name",
    "hmac_sha256",
    "http_parse_multipart",
    "http_var",
    "log_get",
    "log_set",
    "match",
    "md5",
    "millis",
    "random_bytes",
    "random_str",
    "sha1",
    "sha256",
    "url_encode",
    "url_host",
    "url_is_ssl",
    "url_pass",
    "url_port",
    "url_uri",
    "url_user",
]

_HOME = {
    "AsyncManager": ".aio",
    "Event": "._event",
}


def __getattr__(name: str) -> object:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(home, __name__)
    value: object = module if home == f".{name}" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
