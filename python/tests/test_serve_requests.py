"""`exeunt.serve`: requests, and all forms of answers."""

import asyncio
import contextvars
import http.client
import json
import logging
from typing import Any

import httpx
import pytest
from serving import URL, connected, fetch, run

import exeunt
from exeunt import Request, Response


def test_a_request_is_what_was_sent() -> None:
    seen: list[Request] = []

    async def handler(request: Request) -> str:
        seen.append(request)
        return "ok"

    async def main() -> None:
        async with exeunt.serve(handler, URL) as server, connected(server.port) as client:
            await client.fetch(
                "/a%20b?x=1+2&y=&x=3", "POST", b'{"n": 1}', "X-One: a", "x-one: b", "X-Raw: caf\xe9"
            )
            request = seen[0]
            assert (request.method, request.path, request.query) == (
                "POST",
                "/a%20b",
                "x=1+2&y=&x=3",
            )
            assert request.target == "/a%20b?x=1+2&y=&x=3"
            assert (request.param("x"), request.param("y"), request.param("z")) == ("1 2", "", None)
            assert request.param("z", "none") == "none"
            assert request.headers[:3] == [("Host", "a"), ("X-One", "a"), ("x-one", "b")]
            assert (request.header("x-ONE"), request.header("none")) == ("a", None)
            assert (request.header("none", "x"), request.header("x-raw")) == ("x", "café")
            assert (request.body, request.text(), request.json()) == (
                b'{"n": 1}',
                '{"n": 1}',
                {"n": 1},
            )
            assert request.peer == client.writer.get_extra_info("sockname")
            assert (request.server, request.is_tls, request.draining) == (server, False, False)
            assert repr(request) == "<Request POST /a%20b?x=1+2&y=&x=3>"
        assert seen[0].method == "POST"
        assert seen[0].draining

    run(main)


@pytest.mark.parametrize(
    ("answer", "status", "kind", "body"),
    [
        ("déjà", 200, "text/plain; charset=utf-8", "déjà".encode()),
        (b"\x00\xff", 200, "application/octet-stream", b"\x00\xff"),
        (bytearray(b"ab"), 200, "application/octet-stream", b"ab"),
        (memoryview(b"ab"), 200, "application/octet-stream", b"ab"),
        ({"a": ["é", None]}, 200, "application/json", '{"a":["é",null]}'.encode()),
        ([1, 2], 200, "application/json", b"[1,2]"),
        (Response(), 200, None, b""),
        (Response(404, body="no"), 404, "text/plain; charset=utf-8", b"no"),
        (Response(201, {"content-type": "a/b"}, "x"), 201, "a/b", b"x"),
        (Response(body={"a": 1}, headers=[("X-A", "1")]), 200, "application/json", b'{"a":1}'),
        (Response(204), 204, None, b""),
    ],
)
def test_each_form_of_an_answer(answer: Any, status: int, kind: str | None, body: bytes) -> None:
    async def handler(_: Request) -> Any:
        return answer

    async def main() -> None:
        async with exeunt.serve(handler, URL) as server:
            reply = await fetch(server.port, "/")
            assert (reply.status, reply.body) == (status, body)
            if kind is not None:
                assert reply.fields["content-type"] == kind

    run(main)


@pytest.mark.parametrize("answer", [None, 5, object(), Response(body=3), (200, "x")])  # type: ignore[arg-type]
def test_what_is_no_answer_is_a_500_that_is_logged(
    answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(_: Request) -> Any:
        return answer

    async def main() -> None:
        async with exeunt.serve(handler, URL) as server:
            assert (await fetch(server.port, "/wrong")).status == 500

    with caplog.at_level(logging.ERROR, "exeunt"):
        run(main)
    assert "GET /wrong" in caplog.text
    assert "async iterable" in caplog.text


def test_an_exception_is_a_500_and_the_server_lives_on(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(request: Request) -> Response | str:
        if request.path == "/header":
            return Response(200, {"X-A": "1\r\nX-B: 2"})
        if request.path.startswith("/status"):
            return Response(int(request.path[7:]))
        return dict[str, str]()[request.path]

    async def main() -> None:
        async with exeunt.serve(handler, URL) as server, connected(server.port) as client:
            for path in "/key", "/header", "/status20", "/status101", "/status1000":
                reply = await client.fetch(path)
                assert (reply.status, reply.body) == (500, b""), path
                assert "x-b" not in reply.fields

    with caplog.at_level(logging.ERROR, "exeunt"):
        run(main)
    assert "KeyError: '/key'" in caplog.text
    assert "illegal character" in caplog.text


def test_a_connection_is_kept_and_pipelined_requests_are_answered_in_order() -> None:
    async def handler(request: Request) -> str:
        if request.path == "/1":
            await asyncio.sleep(0.01)
        return request.path

    async def main() -> None:
        async with exeunt.serve(handler, URL) as server, connected(server.port) as client:
            for index in range(5):
                client.ask(f"/{index}")
            assert [(await client.reply()).body for _ in range(5)] == [
                b"/0",
                b"/1",
                b"/2",
                b"/3",
                b"/4",
            ]
            assert (await client.fetch("/x", "HEAD")).fields["content-length"] == "2"
            assert (await client.fetch("/x")).body == b"/x"

    run(main)


def test_many_at_once() -> None:
    async def handler(request: Request) -> bytes:
        await asyncio.sleep(0)
        return request.body * 2

    async def main() -> None:
        async with exeunt.serve(handler, URL) as server:

            async def one(index: int) -> None:
                async with connected(server.port) as client:
                    for turn in range(10):
                        body = f"{index} {turn} ".encode()
                        assert (await client.fetch("/", "POST", body)).body == 2 * body

            await asyncio.gather(*(one(index) for index in range(100)))
            assert server.in_flight == 0
        assert server.report is not None
        assert server.report.is_clean

    run(main)


def test_large_bodies_go_both_ways_and_too_large_ones_do_not() -> None:
    async def handler(request: Request) -> bytes:
        return request.body

    async def main() -> None:
        limits = exeunt.ServerLimits(body_bytes=3_000_000)
        async with exeunt.serve(handler, URL, limits=limits) as server:
            body = bytes(range(256)) * 10_000
            assert (await fetch(server.port, "/", "POST", body)).body == body
            async with connected(server.port) as client:
                client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000001\r\n\r\n")
                assert (await client.reply()).status == 413
            async with connected(server.port) as client:
                client.send("GET / HTTP/1.1\r\nHost: a\r\nX: " + "x" * 70_000)
                assert (await client.reply()).status == 431

    run(main)


def test_foreign_clients_are_served() -> None:
    async def handler(request: Request) -> Any:
        return {"method": request.method, "body": request.text()}

    def by_http_client(port: int) -> Any:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        answers = []
        for _ in range(2):
            client.request("PUT", "/", "hi")
            answers.append(json.loads(client.getresponse().read()))
        client.close()
        return answers

    async def main() -> None:
        async with exeunt.serve(handler, URL) as server:
            answers = await asyncio.to_thread(by_http_client, server.port)
            assert answers == 2 * [{"method": "PUT", "body": "hi"}]
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as client:
                replies = await asyncio.gather(*(client.post("/", content="a") for _ in range(20)))
            assert {reply.json()["method"] for reply in replies} == {"POST"}

    run(main)


def test_handlers_run_on_the_callers_loop_in_its_context() -> None:
    who = contextvars.ContextVar("who", default="nobody")
    loops = set()

    async def handler(_: Request) -> str:
        loops.add(asyncio.get_running_loop())
        before = who.get()
        who.set("a handler")
        return before

    async def main() -> None:
        who.set("main")
        async with exeunt.serve(handler, URL) as server:
            for _ in range(2):
                assert (await fetch(server.port, "/")).body == b"main"
        assert loops == {asyncio.get_running_loop()}

    run(main)


def test_a_request_may_be_answered_by_whatever_is_callable() -> None:
    class Site:
        async def __call__(self, request: Request) -> str:
            return "site"

    async def main() -> None:
        async with exeunt.serve(Site(), URL) as server:
            assert (await fetch(server.port, "/")).body == b"site"

    run(main)


def test_wrong_arguments_are_refused() -> None:
    async def handler(_: Request) -> str:
        return ""

    with pytest.raises(TypeError, match="async function"):
        exeunt.serve(3, URL)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="seconds"):
        exeunt.serve(handler, URL, grace=-1)
    with pytest.raises(ValueError, match="seconds"):
        exeunt.serve(handler, URL, grace=float("nan"))
    with pytest.raises(ValueError, match="give both"):
        exeunt.serve(handler, URL, key=b"")

    async def main() -> None:
        for url in "nonsense", "http://127.0.0.1:99999", "udp://127.0.0.1:0":
            with pytest.raises((ValueError, OSError), match="listen"):
                async with exeunt.serve(handler, url):
                    pass
        async with exeunt.serve(handler, URL) as server:
            with pytest.raises(OSError, match="listen"):
                async with exeunt.serve(handler, URL, f"http://127.0.0.1:{server.port}"):
                    pass
        limits = exeunt.ServerLimits(idle_seconds=-1)
        with pytest.raises(ValueError, match="idle_seconds is -1"):
            async with exeunt.serve(handler, URL, limits=limits):
                pass

    run(main)


def test_bytes_that_are_no_request_harm_nobody() -> None:
    async def handler(_: Request) -> str:
        return "ok"

    async def main() -> None:
        async with exeunt.serve(handler, URL) as server:
            for junk in (
                b"\x16\x03\x01",
                b"GET /\0 HTTP/1.1\r\n\r\n",
                b"A B C D\r\n\r\n",
                b"\r\n" * 99,
            ):
                async with connected(server.port) as client:
                    client.send(junk)
                    client.writer.write_eof()
                    await client.end()
            assert (await fetch(server.port, "/")).body == b"ok"

    run(main)


def test_nobody_tunnels() -> None:
    async def handler(_: Request) -> str:
        return "a tunnel"

    async def main() -> None:
        async with exeunt.serve(handler, URL) as server:
            assert (await fetch(server.port, "a:1", "CONNECT")).status == 501
            assert (await fetch(server.port, "/")).body == b"a tunnel"

    run(main)
