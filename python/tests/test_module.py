"""What the package and `exeunt.mongoose` consist of."""

import enum
import subprocess
import sys

import pytest

import exeunt
from exeunt import mongoose

EVENTS = {
    "ERROR": 0,
    "OPEN": 1,
    "POLL": 2,
    "RESOLVE": 3,
    "CONNECT": 4,
    "ACCEPT": 5,
    "TLS_HS": 6,
    "READ": 7,
    "WRITE": 8,
    "CLOSE": 9,
    "HTTP_HDRS": 10,
    "HTTP_MSG": 11,
    "WS_OPEN": 12,
    "WS_MSG": 13,
    "WS_CTL": 14,
    "MQTT_CMD": 15,
    "MQTT_MSG": 16,
    "MQTT_OPEN": 17,
    "SNTP_TIME": 18,
    "WAKEUP": 19,
    "USER": 23,
}
LEVELS = {"NONE": 0, "ERROR": 1, "INFO": 2, "DEBUG": 3, "VERBOSE": 4}
OPERATIONS = {"TEXT": 1, "BINARY": 2, "PING": 9, "PONG": 10}

CLASSES = {
    "AsyncManager",
    "Connection",
    "HttpMessage",
    "Manager",
    "MqttMessage",
    "Rpc",
    "RpcReq",
    "Timer",
    "TlsOpts",
    "WsMessage",
}
FUNCTIONS = {
    "base64_decode",
    "base64_encode",
    "crc32",
    "event_name",
    "hmac_sha256",
    "http_parse_multipart",
    "http_var",
    "json_get",
    "json_get_bool",
    "json_get_long",
    "json_get_num",
    "json_get_str",
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
}
# Of the names that such programs import, those that are not there yet.
LATER = {
    "MqttMessage",
    "Rpc",
    "RpcReq",
    "json_get",
    "json_get_bool",
    "json_get_long",
    "json_get_num",
    "json_get_str",
}


def test_every_name_that_programs_import_is_there() -> None:
    constants = {
        *(f"MG_EV_{name}" for name in EVENTS),
        *(f"MG_LL_{name}" for name in LEVELS),
        *(f"WEBSOCKET_OP_{name}" for name in OPERATIONS),
    }
    assert (CLASSES | FUNCTIONS | constants) - set(mongoose.__all__) == LATER


@pytest.mark.parametrize("module", [exeunt, mongoose], ids=["exeunt", "mongoose"])
def test_every_name_in_all_can_be_had(module: object) -> None:
    names = module.__all__  # type: ignore[attr-defined]
    assert len(names) == len(set(names))
    for name in names:
        assert getattr(module, name) is getattr(module, name), name
    assert set(names) <= set(dir(module))
    with pytest.raises(AttributeError, match="no attribute 'nothing_of_the_kind'"):
        _ = module.nothing_of_the_kind  # type: ignore[attr-defined]


def test_constants_have_their_values() -> None:
    for name, number in EVENTS.items():
        assert getattr(mongoose, f"MG_EV_{name}") == number
    for name, number in LEVELS.items():
        assert getattr(mongoose, f"MG_LL_{name}") == number
    for name, number in OPERATIONS.items():
        assert getattr(mongoose, f"WEBSOCKET_OP_{name}") == number


def test_events_are_equal_to_their_numbers() -> None:
    assert issubclass(mongoose.Event, enum.IntEnum)
    assert {event.name: event.value for event in mongoose.Event} == EVENTS
    assert mongoose.Event.HTTP_MSG == mongoose.MG_EV_HTTP_MSG == 11
    assert {11: "told"}[mongoose.Event.HTTP_MSG] == "told"


def test_events_have_names() -> None:
    for name, number in EVENTS.items():
        assert mongoose.event_name(number) == f"MG_EV_{name}"
        assert mongoose.event_name(mongoose.Event(number)) == f"MG_EV_{name}"
    assert mongoose.event_name(28) == "MG_EV_USER+5"
    for number in (-1, 20, 22):
        assert mongoose.event_name(number) == f"MG_EV_UNKNOWN({number})"


@pytest.mark.parametrize("name", ["ShutdownProtection", "shield", "DelayedKeyboardInterrupt"])
def test_p71_entering_a_block_imports_nothing(name: str) -> None:
    program = (
        f"import sys; sys.path[:0] = sys.argv[1:]; from exeunt import {name}; "
        f"before = set(sys.modules); {name}().__enter__(); print(*set(sys.modules) - before)"
    )
    command = [sys.executable, "-S", "-c", program, *sys.path]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert (ran.returncode, ran.stdout.split(), ran.stderr) == (0, [], "")


@pytest.mark.parametrize("module", ["exeunt", "exeunt.mongoose"])
def test_an_import_is_light(module: str) -> None:
    # Without site, which may have imported anything before (for an editable installation, say).
    program = (
        "import importlib, os, sys; sys.path[:0] = sys.argv[2:]; before = set(sys.modules); "
        "__import__(sys.argv[1]); print(*sorted(set(sys.modules) - before))"
    )
    command = [sys.executable, "-S", "-c", program, module, *sys.path]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=50)
    imported = set(ran.stdout.split())
    assert module in imported
    # Nothing heavy, such as asyncio, socket or logging; `typing` alone would take longer than all
    # of it.
    foreign = {name for name in imported if name.partition(".")[0] != "exeunt"}
    assert foreign <= {"warnings"}
