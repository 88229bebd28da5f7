"""URLs taken apart, by whoever has one of unknown quality: what is missing is empty.

`listen` and `connect` are strict, and do not use these.
"""

_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443, "mqtt": 1883, "mqtts": 8883}
_TLS = frozenset({"https", "wss", "mqtts", "ssl", "tls"})
# RFC 3986, section 2.3.
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~")
_ESCAPES = [chr(byte) if byte in _UNRESERVED else f"%{byte:02x}" for byte in range(256)]


def url_encode(data: str) -> str:
    """The UTF-8 of a text with everything escaped (`%2f`) but letters, digits and `-_.~`."""
    return "".join([_ESCAPES[byte] for byte in data.encode()])


def url_port(url: str) -> int:
    """The port.

    The one that is given, else the scheme's own, else 0; 0 also for what is no port.
    """
    scheme, _, place, _ = _split(url)
    behind = place.partition("]")[2] if place.startswith("[") else place
    _, colon, digits = behind.rpartition(":")
    if not colon:
        return _PORTS.get(scheme, 0)
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 5):
        return 0
    port = int(digits)
    return port if port <= 65_535 else 0


def url_host(url: str) -> str:
    """The host; an IPv6 address with its brackets."""
    place = _split(url)[2]
    if place.startswith("["):
        return place[: place.find("]") + 1] or place
    return place.partition(":")[0]


def url_user(url: str) -> str:
    """The user, as it stands there (still escaped), or an empty text."""
    return _split(url)[1].partition(":")[0]


def url_pass(url: str) -> str:
    """The password, as it stands there (still escaped), or an empty text."""
    return _split(url)[1].partition(":")[2]


def url_uri(url: str) -> str:
    """What to ask for at the host.

    Path, query and fragment as they stand; `/` where there is no path.
    """
    return _split(url)[3]


def url_is_ssl(url: str) -> bool:
    """Whether the scheme (https, wss, mqtts, ssl, tls) is spoken over TLS."""
    return _split(url)[0] in _TLS


def _split(url: str) -> tuple[str, str, str, str]:
    """Scheme (lower case), user information, host with port, and the rest from the path on."""
    scheme, found, rest = url.partition("://")
    if not found:
        scheme, rest = "", url.removeprefix("//")
    ends = [at for at in map(rest.find, "/?#") if at >= 0]
    end = min(ends, default=len(rest))
    user, _, place = rest[:end].rpartition("@")
    uri = rest[end:]
    if not uri.startswith("/"):
        uri = f"/{uri}" if uri.startswith("?") else "/"
    return scheme.lower(), user, place, uri
