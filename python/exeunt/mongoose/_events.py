"""The numbers of events, log levels and WebSocket frames."""

MG_EV_ERROR = 0
MG_EV_OPEN = 1
MG_EV_POLL = 2
MG_EV_RESOLVE = 3
MG_EV_CONNECT = 4
MG_EV_ACCEPT = 5
MG_EV_TLS_HS = 6
MG_EV_READ = 7
MG_EV_WRITE = 8
MG_EV_CLOSE = 9
MG_EV_HTTP_HDRS = 10
MG_EV_HTTP_MSG = 11
MG_EV_WS_OPEN = 12
MG_EV_WS_MSG = 13
MG_EV_WS_CTL = 14
MG_EV_MQTT_CMD = 15
MG_EV_MQTT_MSG = 16
MG_EV_MQTT_OPEN = 17
MG_EV_SNTP_TIME = 18
MG_EV_WAKEUP = 19
MG_EV_USER = 23

MG_LL_NONE = 0
MG_LL_ERROR = 1
MG_LL_INFO = 2
MG_LL_DEBUG = 3
MG_LL_VERBOSE = 4

WEBSOCKET_OP_TEXT = 1
WEBSOCKET_OP_BINARY = 2
WEBSOCKET_OP_PING = 9
WEBSOCKET_OP_PONG = 10

_NAMES = {number: name for name, number in list(globals().items()) if name.startswith("MG_EV_")}


def event_name(ev: int) -> str:
    """The name of the constant: `MG_EV_HTTP_MSG` for 11.

    From `MG_EV_USER` on, which programs number their own events from, it is `MG_EV_USER+5`; a
    number that is no event's is `MG_EV_UNKNOWN(20)`.
    """
    name = _NAMES.get(ev)
    if name is not None:
        return name
    if ev > MG_EV_USER:
        return f"MG_EV_USER+{ev - MG_EV_USER}"
    return f"MG_EV_UNKNOWN({ev})"
