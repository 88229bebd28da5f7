"""TLS, of a server and of a client (P16)."""

from typing import Any

import pytest
from certificates import Certificates
from tls_wire import ask, server
from wire import GET, asked, loop, port_of, serving, split

from exeunt.mongoose import (
    MG_EV_ACCEPT,
    MG_EV_CLOSE,
    MG_EV_CONNECT,
    MG_EV_ERROR,
    MG_EV_HTTP_MSG,
    MG_EV_READ,
    MG_EV_TLS_HS,
    Connection,
    TlsOpts,
)

KEYS = ("ca", "cert", "key", "name")


def test_options_become_bytes() -> None:
    opts = TlsOpts("ca", None, b"key", "für", True)
    assert [getattr(opts, key) for key in KEYS] == [b"ca", b"", b"key", "für".encode()]
    assert opts.skip_verification is True
    opts = TlsOpts(ca=b"1", cert="2", key=None)
    assert [getattr(opts, key) for key in KEYS] == [b"1", b"2", b"", b""]
    assert TlsOpts().skip_verification is False
    for key in KEYS:
        setattr(opts, key, "new")
        assert getattr(opts, key) == b"new"
    opts.skip_verification = True
    assert "skip_verification=True" in repr(opts)
    assert "key" not in repr(opts)


@pytest.mark.parametrize("key", KEYS)
def test_options_are_text_or_bytes(key: str) -> None:
    wrong: list[Any] = [3, [], bytearray(b"x"), 1.5]
    for value in wrong:
        with pytest.raises(TypeError, match="str, bytes or None"):
            TlsOpts(**{key: value})
    with pytest.raises(UnicodeEncodeError):
        TlsOpts(**{key: "\udc80"})  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        TlsOpts(skip_verification="yes")  # type: ignore[arg-type]


def test_a_server_and_a_client_of_our_own(pem: Certificates) -> None:
    with loop() as at:
        listener = at.manager.listen(
            "https://127.0.0.1:0", server(TlsOpts(cert=pem.cert, key=pem.key))
        )
        opts = TlsOpts(ca=pem.ca)
        for _ in range(3):
            asking = ask(at, port_of(listener), opts)
            assert asking.of("HTTP_MSG") == (200, "hello")
            assert asking.events == [
                "RESOLVE",
                "CONNECT",
                "TLS_HS",
                "WRITE",
                "HTTP_HDRS",
                "HTTP_MSG",
                "CLOSE",
            ]


def test_what_is_sent_before_the_handshake_waits_for_it(pem: Certificates) -> None:
    told: list[str] = []

    def client(conn: Connection, ev: int, data: Any) -> None:
        if ev == MG_EV_CONNECT:
            conn.send(GET)
            conn.tls_init(TlsOpts(skip_verification=True))
        elif ev == MG_EV_HTTP_MSG:
            told.append(data.body_text)

    with loop(server(TlsOpts(cert=pem.cert, key=pem.key))) as at:
        port = at.listen("https://127.0.0.1:0")
        at.manager.connect(f"https://127.0.0.1:{port}", client)
        at.until(lambda: told == ["hello"])


def test_a_certificate_is_held_against_the_name(pem: Certificates) -> None:
    with loop(server(TlsOpts(cert=pem.cert, key=pem.key))) as at:
        port = at.listen("https://127.0.0.1:0")
        right = ask(at, port, TlsOpts(ca=pem.ca, name="localhost"))
        assert right.of("HTTP_MSG") == (200, "hello")
        wrong = ask(at, port, TlsOpts(ca=pem.ca, name="example.org"))
        assert "not valid for name" in str(wrong.of("ERROR")), "a wrong name gives ERROR"
        assert wrong.events[-2:] == ["ERROR", "CLOSE"]
        skipped = ask(at, port, TlsOpts(name="example.org", skip_verification=True))
        assert skipped.of("HTTP_MSG") == (200, "hello")


def test_options_that_change_are_looked_at_anew(pem: Certificates) -> None:
    with loop(server(TlsOpts(cert=pem.cert, key=pem.key))) as at:
        port = at.listen("https://127.0.0.1:0")
        opts = TlsOpts(ca=pem.ca)
        assert ask(at, port, opts).of("HTTP_MSG") == (200, "hello")
        opts.name = "example.org"
        assert ask(at, port, opts).of("HTTP_MSG") is None
        opts.skip_verification = True
        assert ask(at, port, opts).of("HTTP_MSG") == (200, "hello")


@pytest.mark.parametrize("opts", [TlsOpts(), None], ids=["without a CA", "without tls_init"])
def test_the_systems_roots_verify(pem: Certificates, opts: TlsOpts | None) -> None:
    """Nothing is skipped silently: a certificate that nobody has signed is refused."""
    with loop(server(TlsOpts(cert=pem.cert, key=pem.key))) as at:
        asking = ask(at, at.listen("https://127.0.0.1:0"), opts)
        assert isinstance(asking.of("ERROR"), str)
        assert asking.of("HTTP_MSG") is None


def test_certificates_of_version_1_work_with_skip_verification(pem: Certificates) -> None:
    opts = TlsOpts(cert=pem.pem("v1"), key=pem.pem("v1-key"))
    with loop(server(opts)) as at:
        port = at.listen("https://127.0.0.1:0")
        asking = ask(at, port, TlsOpts(skip_verification=True))
        assert asking.of("HTTP_MSG") == (200, "hello")


@pytest.mark.parametrize(
    "opts",
    [
        TlsOpts(cert="garbage", key="garbage"),
        TlsOpts(cert=b"\x00\xff", key=b"\xff"),
        TlsOpts(),
        TlsOpts(cert="-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n", key="x"),
    ],
    ids=["garbage", "binary", "nothing", "half"],
)
def test_garbage_pem_does_not_raise_and_is_told_as_error(opts: TlsOpts) -> None:
    told: list[str] = []

    def handler(conn: Connection, ev: int, data: Any) -> None:
        if ev == MG_EV_ACCEPT:
            conn.tls_init(opts)
        elif ev == MG_EV_ERROR:
            told.append(data)

    with loop(handler) as at:
        port = at.listen("https://127.0.0.1:0")
        asking = ask(at, port, TlsOpts(skip_verification=True))
        assert asking.of("HTTP_MSG") is None
        assert told
        assert told[0].startswith("TLS cannot be spoken: ")
        (listener,) = at.manager.connections
        assert listener.is_listening


@pytest.mark.parametrize(
    "opts", [TlsOpts(ca="garbage"), TlsOpts(name=b"\xff"), TlsOpts(name="no name")]
)
def test_garbage_of_a_client_is_told_as_error(pem: Certificates, opts: TlsOpts) -> None:
    with loop(server(TlsOpts(cert=pem.cert, key=pem.key))) as at:
        asking = ask(at, at.listen("https://127.0.0.1:0"), opts)
        assert str(asking.of("ERROR")).startswith("TLS cannot be spoken: ")
        assert asking.events[-1] == "CLOSE"
        assert "TLS_HS" not in asking.events


def test_tls_init_on_a_listener_is_for_those_whom_it_accepts(pem: Certificates) -> None:
    opts = TlsOpts(cert=pem.cert, key=pem.key)

    def handler(conn: Connection, ev: int, data: Any) -> None:
        if ev == MG_EV_HTTP_MSG:
            conn.reply(200, f"tls: {conn.is_tls}")

    with loop(handler) as at:
        listener = at.manager.listen("http://127.0.0.1:0")
        for given in (opts, TlsOpts(cert="garbage"), opts):
            listener.tls_init(given)
            assert listener.is_listening, "it keeps listening"
            assert listener.is_tls
            listener.tls_free()
            listener.tls_free()
            assert listener.is_listening
            assert not listener.is_tls
        listener.tls_init(opts)
        port = port_of(listener)
        assert ask(at, port, TlsOpts(ca=pem.ca)).of("HTTP_MSG") == (200, "tls: True")
        listener.tls_free()
        told: list[str] = []

        def plain(conn: Connection, ev: int, data: Any) -> None:
            if ev == MG_EV_CONNECT:
                conn.send(GET)
            elif ev == MG_EV_HTTP_MSG:
                told.append(data.body_text)

        at.manager.connect(f"http://127.0.0.1:{port}", plain)
        at.until(lambda: told == ["tls: False"])


def test_tls_free_takes_back_what_has_not_begun(pem: Certificates) -> None:
    opts = TlsOpts(cert=pem.cert, key=pem.key)
    checked: list[int] = []

    def handler(conn: Connection, ev: int, data: Any) -> None:
        if ev == MG_EV_ACCEPT:
            conn.tls_free()
            conn.tls_init(TlsOpts(cert="garbage", key="x") if not checked else opts)
            if conn.is_closing:
                checked.append(ev)
                return
            conn.tls_free()
            conn.tls_init(TlsOpts(cert=pem.pem("v1"), key=pem.pem("v1-key")))
            conn.tls_init(opts)
        elif ev == MG_EV_TLS_HS:
            for call in (conn.tls_free, lambda: conn.tls_init(opts)):
                with pytest.raises(RuntimeError, match="begun"):
                    call()
            checked.append(ev)
        elif ev == MG_EV_HTTP_MSG:
            conn.reply(200, "hello")

    with loop(handler) as at:
        port = at.listen("http://127.0.0.1:0")
        assert ask(at, port, TlsOpts(ca=pem.ca)).of("HTTP_MSG") is None
        assert ask(at, port, TlsOpts(ca=pem.ca)).of("HTTP_MSG") == (200, "hello")
    assert checked == [MG_EV_ACCEPT, MG_EV_TLS_HS]


def test_where_tls_cannot_begin_is_an_error(pem: Certificates) -> None:
    opts = TlsOpts(cert=pem.cert, key=pem.key)

    def handler(conn: Connection, ev: int, data: Any) -> None:
        if ev == MG_EV_HTTP_MSG:
            with pytest.raises(RuntimeError, match="HTTP was spoken"):
                conn.tls_init(opts)
            wrong: list[Any] = [None, "opts", 3]
            for bad in wrong:
                with pytest.raises(TypeError):
                    conn.tls_init(bad)
            conn.reply(200)

    with serving(handler) as port:
        assert split(asked(port, GET))[0] == 200
    with loop() as at:
        udp = at.manager.listen("udp://127.0.0.1:0")
        with pytest.raises(RuntimeError, match="not for UDP"):
            udp.tls_init(opts)


def test_a_server_with_a_ca_asks_its_clients_for_certificates(pem: Certificates) -> None:
    with loop(server(TlsOpts(ca=pem.ca, cert=pem.cert, key=pem.key))) as at:
        port = at.listen("https://127.0.0.1:0")
        asking = ask(at, port, TlsOpts(ca=pem.ca))
        assert asking.of("HTTP_MSG") is None
        asking = ask(at, port, TlsOpts(ca=pem.ca, cert=pem.cert, key=pem.key))
        assert asking.of("HTTP_MSG") == (200, "hello")


def test_starttls_on_a_raw_stream(pem: Certificates) -> None:
    opts = TlsOpts(cert=pem.cert, key=pem.key)
    told: list[object] = []

    def handler(conn: Connection, ev: int, data: Any) -> None:
        if ev == MG_EV_READ and not conn.is_tls:
            assert conn.recv_data() == b"STARTTLS\n"
            conn.consume()
            conn.send("go ahead\n")
            conn.tls_init(opts)
        elif ev == MG_EV_READ:
            conn.send(conn.recv_data().upper())
            conn.drain()

    def client(conn: Connection, ev: int, data: Any) -> None:
        if ev == MG_EV_CONNECT:
            conn.send("STARTTLS\n")
        elif ev == MG_EV_READ and not conn.is_tls:
            told.append(conn.recv_data())
            conn.consume()
            conn.tls_init(TlsOpts(ca=pem.ca))
            conn.send("secret")
        elif ev == MG_EV_READ:
            told.append(conn.recv_data())
        elif ev in (MG_EV_CLOSE, MG_EV_ERROR):
            told.append(data)

    with loop(handler) as at:
        port = at.listen("tcp://127.0.0.1:0")
        at.manager.connect(f"tcp://127.0.0.1:{port}", client)
        at.until(lambda: None in told)
    assert told == [b"go ahead\n", b"SECRET", None]
