"""Files as answers: serve_dir and serve_file (P14)."""

import http.client
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from wire import GET, answering, asked, serving, split, told

from exeunt.mongoose import Connection, HttpMessage

BINARY = bytes(range(256)) * 2048


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder to serve, and a secret beside it."""
    root = tmp_path / "site"
    (root / "deep" / "er").mkdir(parents=True)
    (root / "deep" / "page.html").write_text("<p>für</p>")
    (root / "deep" / "er" / "data.bin").write_bytes(BINARY)
    (root / "note.txt").write_text("note")
    (root / "wild.xyz").write_text("wild")
    (root / "empty").touch()
    (tmp_path / "secret.txt").write_text("secret")
    (root / "out").symlink_to(tmp_path / "secret.txt")
    (root / "in").symlink_to("note.txt")
    return root


@contextmanager
def served(root: Path | str, **options: Any) -> Iterator[httpx.Client]:
    """A client of a server of that folder."""

    def answer(conn: Connection, data: HttpMessage) -> None:
        conn.serve_dir(data, root, **options)

    with (
        serving(answering(answer)) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
    ):
        yield client


def test_files_of_all_kinds(site: Path) -> None:
    with served(site) as client:
        page = client.get("/deep/page.html")
        assert (page.status_code, page.text) == (200, "<p>für</p>")
        assert page.headers["content-type"].startswith("text/html")
        data = client.get("/deep/er/data.bin")
        assert (data.status_code, data.content) == (200, BINARY)
        assert client.get("/note.txt").headers["content-type"].startswith("text/plain")
        assert (client.get("/empty").status_code, client.get("/empty").content) == (200, b"")
        assert client.get("/none").status_code == 404
        assert client.get("/deep/none/more").status_code == 404


def test_root_dir_is_text_too(site: Path) -> None:
    with served(str(site)) as client:
        assert client.get("/note.txt").text == "note"


def test_a_folder_is_listed_or_has_an_index(site: Path) -> None:
    with served(site) as client:
        assert "note.txt" in client.get("/").text
        moved = client.get("/deep?x=1")
        assert (moved.status_code, moved.headers["location"]) == (301, "/deep/?x=1")
        (site / "index.html").write_text("the index")
        assert client.get("/").text == "the index"


def test_nothing_outside_of_the_folder_is_served(site: Path) -> None:
    with served(site) as client:
        assert client.get("/out").status_code == 404, "links out of the root are not followed"
        assert client.get("/in").text in ("note", "Not Found\n")
        port = client.base_url.port
        assert port is not None
        for path in (b"/../secret.txt", b"/%2e%2e/secret.txt", b"/deep/../../secret.txt"):
            answer = asked(port, GET.replace(b"/ ", path + b" ", 1))
            assert split(answer)[0] == 400
            assert b"secret" not in answer


def test_etag_range_and_head(site: Path) -> None:
    with served(site) as client:
        first = client.get("/note.txt")
        again = client.get("/note.txt", headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        part = client.get("/note.txt", headers={"Range": "bytes=1-2"})
        assert (part.status_code, part.text) == (206, "ot")
        assert client.get("/note.txt", headers={"Range": "bytes=9-"}).status_code == 416
        head = client.head("/note.txt")
        assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "4")


def test_extra_headers_are_lines(site: Path) -> None:
    with served(site, extra_headers="X-One: 1\r\nCache-Control:max-age=60\r\n") as client:
        answer = client.get("/note.txt")
        assert (answer.headers["x-one"], answer.headers["cache-control"]) == ("1", "max-age=60")


def test_mime_types_are_pairs(site: Path) -> None:
    with served(site, mime_types="xyz=application/x-wild, txt=text/x-note") as client:
        assert client.get("/wild.xyz").headers["content-type"] == "application/x-wild"
        assert client.get("/note.txt").headers["content-type"] == "text/x-note"


def test_page404_is_answered_with_a_2xx(site: Path) -> None:
    page = site.parent / "app.html"
    page.write_text("the app")
    with served(site, page404=str(page)) as client:
        answer = client.get("/what/is/this")
        assert (answer.status_code, answer.text) == (200, "the app")


def test_in_a_folder_that_is_missing_nothing_is_found(tmp_path: Path) -> None:
    with served(tmp_path / "none") as client:
        assert client.get("/").status_code == 404
    file = tmp_path / "file"
    file.touch()
    with served(file) as client:
        assert client.get("/").status_code == 404


def test_serve_file_serves_one_whatever_is_asked(site: Path) -> None:
    def answer(conn: Connection, data: HttpMessage) -> None:
        path = site / ("deep/er/data.bin" if data.uri == "/data" else "missing")
        conn.serve_file(data, path, "X-One: 1\r\n", "bin=x/y")

    with serving(answering(answer)) as port:
        status, headers, body = split(asked(port, GET.replace(b"/ ", b"/data ", 1)))
        assert (status, body, headers["x-one"], headers["content-type"]) == (
            200,
            BINARY,
            "1",
            "x/y",
        )
        assert split(asked(port, GET))[0] == 404


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"extra_headers": "no colon\r\n"}, "extra_headers are lines"),
        ({"extra_headers": "X: 1\nY: 2\r\n"}, "Header value.*illegal character"),
        ({"extra_headers": "X Y: 1\r\n"}, "Header name.*illegal character"),
        ({"extra_headers": "X: a\x00b\r\n"}, "Header value.*illegal character"),
        ({"mime_types": "txt"}, "mime_types are pairs"),
        ({"mime_types": "txt=a\nb"}, "Header value.*illegal character"),
    ],
)
def test_options_that_are_none_are_refused(site: Path, options: Any, match: str) -> None:
    def answer(conn: Connection, data: HttpMessage) -> None:
        with pytest.raises(ValueError, match=match):
            conn.serve_dir(data, site, **options)
        with pytest.raises(ValueError, match=match):
            conn.serve_file(data, site / "note.txt", **options)
        assert conn.send_len == 0
        conn.reply(204)

    request = GET.replace(b"/ ", b"/note.txt ", 1)
    assert split(told(answer, request))[0] == 204


def test_what_is_no_path_is_a_type_error(site: Path) -> None:
    def answer(conn: Connection, data: HttpMessage) -> None:
        wrong: list[Any] = [3, None, ["x"], 1.5]
        for path in wrong:
            with pytest.raises(TypeError):
                conn.serve_dir(data, path)
            with pytest.raises(TypeError):
                conn.serve_file(data, path)
        conn.serve_file(data, "nul\x00")

    assert split(told(answer))[0] == 404


def test_a_view_whose_handler_has_returned_is_a_value_error(site: Path) -> None:
    kept: list[HttpMessage] = []

    def answer(conn: Connection, data: HttpMessage) -> None:
        for view in (HttpMessage.__new__(HttpMessage), *kept):
            with pytest.raises(ValueError, match="HttpMessage is not valid"):
                conn.serve_dir(view, site)
            with pytest.raises(ValueError, match="HttpMessage is not valid"):
                conn.serve_file(view, site / "note.txt")
        with pytest.raises(TypeError):
            conn.serve_dir(None, site)  # type: ignore[arg-type]
        kept.append(data)
        conn.serve_dir(data, site)

    assert told(answer, GET + GET).count(b"HTTP/1.1 200 ") == 2


def test_http_client_keeps_its_connection(site: Path) -> None:
    with serving(answering(lambda conn, data: conn.serve_dir(data, site))) as port:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        client.connect()
        sock = client.sock
        for path, body in (("/note.txt", b"note"), ("/deep/er/data.bin", BINARY)) * 3:
            client.request("GET", path)
            assert client.getresponse().read() == body
            assert client.sock is sock
        client.close()


def test_curl_resumes_a_download(site: Path, tmp_path: Path) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed: nothing foreign has resumed a download")
    got = tmp_path / "got"
    got.write_bytes(BINARY[:1000])
    with serving(answering(lambda conn, data: conn.serve_dir(data, site))) as port:
        url = f"http://127.0.0.1:{port}/deep/er/data.bin"
        subprocess.run([curl, "-sSfm", "30", "-C", "-", "-o", got, url], check=True)
    assert got.read_bytes() == BINARY
