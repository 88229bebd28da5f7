"""Runs one program and asks it on port 8000: in a network namespace of its own, where that is free.

driver.py SCENARIO, a JSON object (see `Scenario` in test_seeds.py); answers one, too.
"""

import fcntl
import http.client
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from typing import Any

PATIENCE = 30.0
PORT = 8000


def raise_loopback() -> None:
    """netdevice(7): SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        flags = fcntl.ioctl(sock, 0x8913, struct.pack("16sh", b"lo", 0))
        (present,) = struct.unpack_from("h", flags, 16)
        fcntl.ioctl(sock, 0x8914, struct.pack("16sh", b"lo", present | 1))


def wait_until_it_listens(process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        if not is_free():
            return
        time.sleep(0.01)
    raise AssertionError("it does not listen")


def is_free() -> bool:
    # Looked up, since a connection that is made and not used would be another client of it.
    with open("/proc/net/tcp") as table:
        entries = [line.split() for line in table.readlines()[1:]]
    return not any(it[1].endswith(f":{PORT:04X}") and it[3] == "0A" for it in entries)


def ask() -> tuple[int, str]:
    client = http.client.HTTPConnection("127.0.0.1", PORT, timeout=PATIENCE)
    client.request("GET", "/")
    answer = client.getresponse()
    said = answer.status, answer.read().decode()
    client.close()
    return said


def read_until(process: "subprocess.Popen[bytes]", text: bytes) -> bytes:
    assert process.stdout is not None
    said = b""
    while text not in said:
        more = os.read(process.stdout.fileno(), 65536)
        if not more:
            raise AssertionError(f"no {text!r} in {said!r}")
        said += more
    return said


def is_left(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def run(scenario: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {"answers": []}
    process = subprocess.Popen(
        [sys.executable, "-u", "-X", "dev", scenario["program"]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        if scenario["asks"]:
            wait_until_it_listens(process)
            said["answers"] = [ask() for _ in range(scenario["asks"])]
        before = read_until(process, scenario["until"].encode())
        began = time.monotonic()
        if scenario["signal"]:
            process.send_signal(getattr(signal, scenario["signal"]))
        out, _ = process.communicate(scenario["says"].encode() or None, PATIENCE)
        said["took"] = time.monotonic() - began
        said["status"], said["output"] = process.returncode, (before + out).decode()
        said["free"], said["left"] = is_free(), is_left(process.pid)
    finally:
        process.kill()
        process.wait()
    return said


if __name__ == "__main__":
    raise_loopback()
    print(json.dumps(run(json.loads(sys.argv[1]))))
