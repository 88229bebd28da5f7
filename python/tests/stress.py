"""Everything from everywhere, under load, for so long: `stress.py SECONDS`.

Two threads poll a manager each, the main thread a third, which signals strike. Clients ask over
HTTP and TCP, and check every answer. Meanwhile others call whatever there is on whatever there is,
make, drop and close managers, collect garbage, and fork. Says figures, and fails if anybody does
not get on for half a minute, at a wrong answer, or at an error that is not documented.
"""

import contextlib
import faulthandler
import gc
import os
import random
import signal
import socket
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

from exeunt.mongoose import MG_EV_HTTP_MSG, MG_EV_READ, Connection, Manager

PATIENCE_S = 30.0
DOCUMENTED = (RuntimeError, ValueError, TypeError, OverflowError, TimeoutError)

done: Counter[str] = Counter()
wrong: list[str] = []
over = threading.Event()

getting_on: dict[str, float] = {}
"""By name of thread, when it last got something done."""


def handler(conn: Connection, ev: int, data: Any) -> None:
    if ev == MG_EV_HTTP_MSG:
        if conn.userdata is None:
            conn.userdata = [conn, data]
        conn.reply(200, data.uri.encode())
    elif ev == MG_EV_READ and not conn.is_client and conn.userdata == "echo":
        conn.send(conn.recv_data())
        conn.consume(1 << 30)


def raising(conn: Connection, ev: int, data: Any) -> None:
    done["errors in handlers"] += 1
    raise ValueError(ev)


class Server:
    """A manager with what it serves, part of a cycle."""

    def __init__(self) -> None:
        self.manager = Manager(self.told, enable_wakeup=True, error_handler=lambda error: None)
        self.http = self.manager.listen("http://127.0.0.1:0")
        self.udp = self.manager.listen("udp://127.0.0.1:0")
        self.ticks = self.manager.timer_add(1, self.tick, repeat=True)
        self.port = (self.http.local_addr or ("", 0))[1]

    def told(self, conn: Connection, ev: int, data: Any) -> None:
        handler(conn, ev, data)

    def tick(self) -> None:
        done["ticks"] += 1

    def poll(self) -> None:
        self.manager.poll(random.choice([0, 1, 10, -1]))
        done["polls"] += 1


def asks(servers: list[Server]) -> None:
    server = random.choice(servers)
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as client:
        for number in range(random.randrange(1, 40)):
            client.sendall(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number)
            answer = client.recv(65536)
            if not (answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"/%d" % number)):
                wrong.append(f"/{number}: {answer!r}")
            done["requests"] += 1
            gets_on()


def meddles(servers: list[Server]) -> None:
    server = random.choice(servers)
    manager = server.manager
    conns = [conn for conn in manager.connections if conn not in (server.http, server.udp)]
    conn = random.choice(conns) if conns else server.udp

    def connects() -> None:
        kind = random.choice(["tcp", "http", "udp", "ws"])
        port = server.port if kind != "udp" else (server.udp.local_addr or ("", 9))[1]
        made = manager.connect(f"{kind}://127.0.0.1:{port}", random.choice([None, raising]))
        made.userdata = made
        if kind == "udp":
            made.send(b"datagram")
        random.choice([made.close, made.drain])()

    def makes() -> None:
        made = Server()
        made.manager.poll(random.choice([0, 1]))
        if random.random() < 0.5:
            made.manager.close()
        done["managers"] += 1

    calls: list[Callable[[], object]] = [
        connects,
        connects,
        makes,
        manager.close if random.random() < 0.2 else manager.poll,
        lambda: manager.wakeup(conn.id, os.urandom(100)),
        lambda: manager.timer_add(random.random(), lambda: None, repeat=True).cancel(),
        lambda: manager.timer_add(0, lambda: 1 / 0, run_now=True),
        lambda: [str(each) + str(each.remote_addr) for each in manager.connections],
        lambda: conn.error("meddled with") if conn.is_client else None,
        lambda: (conn.recv_data(), conn.send_data(), conn.is_tls, conn.is_full, hash(conn)),
        lambda: gc.collect(random.choice([0, 0, 0, 1, 2])),
    ]
    with contextlib.suppress(*DOCUMENTED):
        random.choice(calls)()
    done["calls"] += 1


def forks(servers: list[Server]) -> None:
    time.sleep(0.1)
    child = os.fork()
    if not child:
        status = 1
        try:
            # The watch of faulthandler has a lock that a fork does not find open.
            signal.alarm(int(PATIENCE_S))
            try:
                servers[0].manager.poll(-1)
            except RuntimeError as error:
                status = 0 if "made in another process" in str(error) else 2
            if random.random() < 0.5:
                Server().manager.poll(0)
                gc.collect()
        finally:
            os._exit(status)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0:
        wrong.append("a forked child was not refused, or did not end well")
    done["forks"] += 1


def strikes() -> None:
    time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGUSR1)


def gets_on() -> None:
    getting_on[threading.current_thread().name] = time.monotonic()


def repeats(name: str, does: Callable[[], None]) -> None:
    while not over.is_set():
        try:
            does()
        except BaseException as error:
            wrong.append(f"{name}: {error!r}")
            over.set()
        gets_on()


def main() -> None:
    seconds = float(sys.argv[1])
    faulthandler.enable()
    # Of threads and forks: what comes of them is what this is about.
    warnings.simplefilter("ignore", DeprecationWarning)
    sys.unraisablehook = lambda what: wrong.append(f"unraisable: {what}")
    signal.signal(signal.SIGUSR1, lambda *_: done.update(["signals"]))
    servers = [Server() for _ in range(3)]
    work: dict[str, Callable[[], None]] = {
        "poll 1": servers[1].poll,
        "poll 2": servers[2].poll,
        "fork": lambda: forks(servers),
        "strike": strikes,
    }
    work |= {f"ask {number}": lambda: asks(servers) for number in range(4)}
    work |= {f"meddle {number}": lambda: meddles(servers[1:]) for number in range(4)}
    threads = [
        threading.Thread(target=repeats, args=(name, does), name=name, daemon=True)
        for name, does in work.items()
    ]
    for thread in threads:
        thread.start()
    began = time.monotonic()
    while not wrong and time.monotonic() < began + seconds:
        faulthandler.dump_traceback_later(PATIENCE_S, exit=True)
        servers[0].poll()
        now = time.monotonic()
        for name in work:
            if now - getting_on.get(name, began) > PATIENCE_S:
                wrong.append(f"{name} does not get on")
                faulthandler.dump_traceback(all_threads=True)
    over.set()
    deadline = time.monotonic() + PATIENCE_S
    while any(thread.is_alive() for thread in threads) and time.monotonic() < deadline:
        faulthandler.dump_traceback_later(PATIENCE_S, exit=True)
        for server in servers:
            with contextlib.suppress(RuntimeError):
                server.manager.poll(1)
    for server in servers:
        server.manager.close()
    print(", ".join(f"{count} {name}" for name, count in sorted(done.items())))
    if wrong:
        sys.exit("\n".join(wrong[:20]))


if __name__ == "__main__":
    main()
