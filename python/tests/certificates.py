"""Certificates for tests, made by openssl."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Certificates:
    """An authority, what it has signed for `localhost` and 127.0.0.1, one of version 1."""

    folder: Path

    def pem(self, name: str) -> str:
        return (self.folder / f"{name}.pem").read_text()

    @property
    def ca(self) -> str:
        return self.pem("ca")

    @property
    def cert(self) -> str:
        return self.pem("cert")

    @property
    def key(self) -> str:
        return self.pem("key")


def made(folder: Path) -> Certificates:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: TLS has not been tried")
    key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
    (folder / "names").write_text(
        "subjectAltName=DNS:localhost,IP:127.0.0.1\n"
        "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
    )
    for command in (
        f"req -x509 {key} -keyout ca-key.pem -out ca.pem -days 2 -subj /CN=authority "
        "-addext keyUsage=critical,keyCertSign,cRLSign",
        f"req {key} -keyout key.pem -out request.pem -subj /CN=localhost",
        "x509 -req -in request.pem -CA ca.pem -CAkey ca-key.pem -set_serial 1 -days 2 "
        "-extfile names -out cert.pem",
        f"req {key} -keyout v1-key.pem -out v1-request.pem -subj /CN=localhost",
        "x509 -req -in v1-request.pem -signkey v1-key.pem -days 2 -out v1.pem",
    ):
        subprocess.run(
            ["openssl", *command.split()], cwd=folder, check=True, capture_output=True, timeout=60
        )
    return Certificates(folder)
