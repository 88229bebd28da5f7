"""Digests, base64, CRC-32 and randomness.

All by the standard library, whose parts are imported when they are first used.
"""

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing_extensions import Buffer

    _Data = str | Buffer

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def md5(data: "_Data") -> bytes:
    """The MD5 digest, 16 bytes. For old protocols; it protects nothing."""
    from hashlib import md5

    return md5(_bytes(data), usedforsecurity=False).digest()


def sha1(data: "_Data") -> bytes:
    """The SHA-1 digest, 20 bytes. For old protocols; it protects nothing."""
    from hashlib import sha1

    return sha1(_bytes(data), usedforsecurity=False).digest()


def sha256(data: "_Data") -> bytes:
    """The SHA-256 digest, 32 bytes."""
    from hashlib import sha256

    return sha256(_bytes(data)).digest()


def hmac_sha256(key: "_Data", data: "_Data") -> bytes:
    """The HMAC of data by SHA-256, 32 bytes (RFC 2104). Compare with `hmac.compare_digest`."""
    from hmac import digest

    return digest(_bytes(key), _bytes(data), "sha256")


def base64_encode(data: "_Data") -> str:
    """Base64 (RFC 4648, section 4), padded."""
    from binascii import b2a_base64

    return b2a_base64(_bytes(data), newline=False).decode("ascii")


def base64_decode(data: str) -> bytes:
    """What such a text stands for; padding may be missing. Empty if it is no base64."""
    from base64 import b64decode

    unpadded = data.rstrip("=")
    try:
        return b64decode(unpadded + "=" * (-len(unpadded) % 4), validate=True)
    except ValueError:
        return b""


def crc32(data: "_Data", initial: int = 0) -> int:
    """The CRC-32 of zlib and Ethernet.

    `initial` is that of what came before. OverflowError if it is none.
    """
    from zlib import crc32

    if not 0 <= initial <= 0xFFFF_FFFF:
        raise OverflowError(f"initial is {initial}: a CRC-32 has 32 bits and no sign")
    return crc32(_bytes(data), initial)


def random_bytes(length: int) -> bytes:
    """So many random bytes, good for keys.

    From the system's generator. OverflowError if the number is negative.
    """
    if length < 0:
        raise OverflowError(f"length is {length}: it cannot be negative")
    return os.urandom(length)


def random_str(length: int) -> str:
    """So many random letters and digits (ASCII), good for tokens.

    OverflowError if the number is negative.
    """
    fresh = random_bytes(length)
    text = ""
    while fresh:
        # 248 is the largest multiple of 62 in a byte: what is beyond it would favour the first
        # letters.
        text += "".join([_LETTERS[byte % 62] for byte in fresh if byte < 248])
        fresh = random_bytes(length - len(text))
    return text


def millis() -> int:
    """Milliseconds since some moment in the past, by a clock that only moves forward.

    On Linux, since boot.
    """
    return time.monotonic_ns() // 1_000_000


def _bytes(data: "_Data") -> bytes:
    # By way of a view, because bytes(5) is five zeros.
    return data.encode() if isinstance(data, str) else bytes(memoryview(data))
