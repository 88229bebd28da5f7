"""`exeunt.serve`: on which loops, how many, over what, and what is done to it from outside."""

import asyncio
import gc
import os
import signal
import ssl
import warnings
from collections import deque
from functools import partial
from pathlib import Path

import pytest
from certificates import Certificates
from running import program
from serving import URL, Gate, connected, descriptors, fetch, run, until

import exeunt
from exeunt import Request


async def hello(request: Request) -> str:
    return f"hello {request.path}"


def test_several_servers_on_one_loop_and_several_urls_of_one(tmp_path: Path) -> None:
    path = tmp_path / "socket"

    async def main() -> None:
        async with (
            exeunt.serve(hello, f"http+unix:{path}", URL, URL) as one,
            exeunt.serve(hello, URL) as other,
        ):
            assert one.addresses[0] == str(path)
            ports = [address[1] for address in one.addresses if not isinstance(address, str)]
            assert one.port == ports[0]
            for port in [*ports, other.port]:
                assert (await fetch(port, "/a")).body == b"hello /a"
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(b"GET /b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert (await reader.read()).endswith(b"hello /b")
            writer.close()
            await writer.wait_closed()
            assert repr(one).startswith("<Server serving http+unix:")
        assert not path.exists()

    run(main)


def test_tls(pem: Certificates) -> None:
    async def main() -> None:
        trusting = ssl.create_default_context(cadata=pem.ca)
        # From Python 3.13 on it asks of authorities what those of tests do not have.
        trusting.verify_flags &= ~ssl.VERIFY_X509_STRICT
        key = pem.folder / "key.pem"
        async with exeunt.serve(
            hello, "https://127.0.0.1:0", certificate=pem.cert.encode(), key=key
        ) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=trusting)
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert (await reader.read()).endswith(b"hello /")
            writer.close()
            await writer.wait_closed()
        with pytest.raises(ValueError, match="TLS"):
            await exeunt.serve(hello, URL, certificate=b"none", key=b"none").__aenter__()

    run(main)


def test_uvloop() -> None:
    uvloop = pytest.importorskip("uvloop")

    async def main() -> None:
        gate = Gate()
        async with exeunt.serve(gate, URL) as server:
            asked = [asyncio.create_task(fetch(server.port, "/")) for _ in range(20)]
            await until(lambda: gate.inside == 20)
            async with connected(server.port) as gone:
                gone.ask("/")
                await until(lambda: gate.inside == 21)
            await until(lambda: gate.cancelled == 1)
            server.stop()
            gate.open()
            assert {reply.body for reply in await asyncio.gather(*asked)} == {b"through"}
        assert server.report is not None
        assert server.report.is_clean

    # The first loop opens what the process keeps.
    loop = uvloop.new_event_loop()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    before = descriptors()
    loop = uvloop.new_event_loop()
    try:
        loop.run_until_complete(main())
    finally:
        loop.close()
    gc.collect()
    assert descriptors() == before


def test_it_is_entered_once_and_before_it_is_used() -> None:
    async def main() -> None:
        server = exeunt.serve(hello, URL)
        assert repr(server).startswith("<Server new ")
        for use in (server.stop, server.future, lambda: server.port):
            with pytest.raises(RuntimeError, match="async with"):
                use()
        for wait in (server.serve_forever, server.wait_stopped, server.wait_draining):
            with pytest.raises(RuntimeError, match="async with"):
                await wait()
        assert (server.addresses, server.draining, server.in_flight) == ((), False, 0)
        async with server:
            with pytest.raises(RuntimeError, match="entered already"):
                await server.__aenter__()
            assert (await fetch(server.port, "/")).status == 200
        with pytest.raises(RuntimeError, match="entered already"):
            await server.__aenter__()
        await server.__aexit__(None, None, None)
        await server.serve_forever()
        assert await server.wait_stopped() is server.report

    run(main)


def test_a_loop_that_is_closed_under_it_leaves_it_to_the_collector() -> None:
    before = descriptors()
    loop = asyncio.new_event_loop()
    server = exeunt.serve(hello, URL)
    loop.run_until_complete(server.__aenter__())
    port = server.port
    loop.close()
    warned = pytest.warns(ResourceWarning, match="was never left")
    with warned:
        del server
        gc.collect()
    # The warning has it until now.
    del warned
    gc.collect()
    assert descriptors() == before

    async def main() -> None:
        # Its port is free.
        async with exeunt.serve(hello, f"http://127.0.0.1:{port}"):
            pass

    run(main)


def test_a_loop_that_stops_before_the_block_is_left_and_goes_on() -> None:
    async def main() -> None:
        gate = Gate()
        async with exeunt.serve(gate, URL) as server:
            asked = asyncio.create_task(fetch(server.port, "/"))
            await until(lambda: gate.inside == 1)
            asyncio.get_running_loop().stop()
            await asyncio.sleep(0)
            gate.open()
        assert (await asked).status == 200

    loop = asyncio.new_event_loop()
    task = loop.create_task(main())
    with pytest.raises(RuntimeError, match="stopped before"):
        loop.run_until_complete(task)
    loop.run_until_complete(task)
    loop.close()


def test_what_has_happened_is_told_though_a_signals_handler_raises() -> None:
    class Raised(KeyboardInterrupt):
        pass

    loop = asyncio.new_event_loop()
    gate = Gate()
    server = exeunt.serve(gate, URL, grace=float("inf"))

    async def ask() -> list[int]:
        replies = await asyncio.gather(*(fetch(server.port, "/") for _ in range(5)))
        return [reply.status for reply in replies]

    async def main() -> list[int]:
        async with server:
            drive = server._drive
            assert drive is not None
            told = drive._told

            def interrupted(what: int, connection: int, payload: object) -> None:
                told(what, connection, payload)
                if gate.inside == 0 and not raised:
                    raised.append(True)
                    raise Raised

            drive._told = interrupted
            asked = asyncio.create_task(ask())
            await until(lambda: gate.inside == 5)
            gate.open()
            return await asked

    raised: list[bool] = []
    task = loop.create_task(main())
    with pytest.raises(Raised):
        loop.run_until_complete(task)
    assert loop.run_until_complete(task) == [200] * 5
    loop.close()


@pytest.mark.skipif(not hasattr(asyncio, "eager_task_factory"), reason="from Python 3.12 on")
def test_eager_tasks() -> None:
    async def handler(request: Request) -> str:
        if request.path == "/later":
            await asyncio.sleep(0.001)
        return request.path

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(vars(asyncio)["eager_task_factory"])
        async with exeunt.serve(handler, URL) as server, connected(server.port) as client:
            for path in "/now", "/later", "/now":
                assert (await client.fetch(path)).body == path.encode()
        assert server.report is not None
        assert server.report.is_clean

    run(main)


PROGRAM = """
import asyncio, exeunt, sys

async def handler(request):
    print("asked", flush=True)
    try:
        await asyncio.sleep(float(request.param("s", "0")))
    except asyncio.CancelledError:
        print("cancelled", flush=True)
        raise
    return "done"

async def main():
    async with exeunt.serve(handler, "http://127.0.0.1:0", grace=20) as server:
        print(f"port {server.port}.", flush=True)
        try:
            await server.serve_forever()
        finally:
            print("leaving", flush=True)
    print(server.report)

try:
    asyncio.run(main())
finally:
    print("left", flush=True)
"""


def _port(text: str) -> int:
    return int(text.split("port ")[1].split(".")[0])


@pytest.mark.skipif(not hasattr(asyncio, "Runner"), reason="before Python 3.11 Ctrl-C cancels all")
def test_ctrl_c_under_asyncio_run_drains_and_a_second_one_ends_it() -> None:
    async def ask(port: int, path: str) -> int:
        return (await fetch(port, path)).status

    async def main() -> None:
        for seconds, status in ("0.3", 200), ("1000", 503):
            with program(PROGRAM) as served:
                port = _port(await asyncio.to_thread(served.wait_for, "."))
                asked = asyncio.create_task(ask(port, f"/?s={seconds}"))
                await asyncio.to_thread(served.wait_for, "asked")
                served.kill(signal.SIGINT)
                await asyncio.to_thread(served.wait_for, "leaving")
                if status == 503:
                    served.kill(signal.SIGINT)
                assert await asked == status
                code, text = await asyncio.to_thread(served.end)
                assert (code in (-signal.SIGINT, 130), "left" in text) == (True, True), (code, text)
                assert "KeyboardInterrupt" in text
                assert ("cancelled" in text) == (status == 503)

    run(main)


UNDER_RUN = """
import asyncio, exeunt

async def handler(request):
    print("asked", flush=True)
    await asyncio.sleep(0.3)
    return "done"

async def main():
    async with exeunt.serve(handler, "http://127.0.0.1:0") as server:
        print(f"port {server.port}.", flush=True)
        await server.serve_forever()
    assert server.report.is_clean
    print("left", flush=True)

exeunt.run(main)
"""


def test_under_run_it_serves_until_the_program_is_to_stop() -> None:
    async def main() -> None:
        with program(UNDER_RUN) as served:
            port = _port(await asyncio.to_thread(served.wait_for, "."))
            asked = asyncio.create_task(fetch(port, "/"))
            await asyncio.to_thread(served.wait_for, "asked")
            served.kill(signal.SIGTERM)
            assert (await asked).body == b"done"
            code, text = await asyncio.to_thread(served.end)
            assert (code, "left" in text) == (0, True), (code, text)

    run(main)


def test_a_forked_child_leaves_it_alone() -> None:
    async def main() -> None:
        async with exeunt.serve(hello, URL) as server, connected(server.port) as client:
            assert (await client.fetch("/")).status == 200
            with warnings.catch_warnings():
                # Python 3.12 and later do not like forks beside threads.
                warnings.simplefilter("ignore", DeprecationWarning)
                pid = os.fork()
            if pid == 0:
                status = 1
                try:
                    engine = server._engine
                    assert engine is not None
                    for use in (
                        partial(engine.turn, deque()),
                        engine.close,
                        engine.fileno,
                        engine.drain_now,
                    ):
                        with pytest.raises(RuntimeError, match="forked"):
                            use()
                    server._engine = None
                    del engine
                    gc.collect()
                    status = 0
                finally:
                    os._exit(status)
            _, status = await asyncio.to_thread(os.waitpid, pid, 0)
            assert os.waitstatus_to_exitcode(status) == 0
            assert (await client.fetch("/")).status == 200
            assert (await fetch(server.port, "/")).status == 200

    run(main)
