"""The events as an enumeration, apart from their numbers.

`enum` takes as long to import as all the rest.
"""

from enum import IntEnum

from . import _events as numbers


class Event(IntEnum):
    """What a handler is told; each is equal to its `MG_EV_` number.

    A handler gets plain ints: `ev == Event.HTTP_MSG` and `Event(ev).name` are what to do with them.
    (The second raises ValueError for the events of a program's own, from `USER` on: `event_name`
    has names for all.)
    """

    ERROR = numbers.MG_EV_ERROR
    OPEN = numbers.MG_EV_OPEN
    POLL = numbers.MG_EV_POLL
    RESOLVE = numbers.MG_EV_RESOLVE
    CONNECT = numbers.MG_EV_CONNECT
    ACCEPT = numbers.MG_EV_ACCEPT
    TLS_HS = numbers.MG_EV_TLS_HS
    READ = numbers.MG_EV_READ
    WRITE = numbers.MG_EV_WRITE
    CLOSE = numbers.MG_EV_CLOSE
    HTTP_HDRS = numbers.MG_EV_HTTP_HDRS
    HTTP_MSG = numbers.MG_EV_HTTP_MSG
    WS_OPEN = numbers.MG_EV_WS_OPEN
    WS_MSG = numbers.MG_EV_WS_MSG
    WS_CTL = numbers.MG_EV_WS_CTL
    MQTT_CMD = numbers.MG_EV_MQTT_CMD
    MQTT_MSG = numbers.MG_EV_MQTT_MSG
    MQTT_OPEN = numbers.MG_EV_MQTT_OPEN
    SNTP_TIME = numbers.MG_EV_SNTP_TIME
    WAKEUP = numbers.MG_EV_WAKEUP
    USER = numbers.MG_EV_USER
