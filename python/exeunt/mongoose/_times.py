"""How the time of a stop is divided."""


def reserve(timeout: float) -> float:
    """The last part of a time to stop in, kept for closing: 20 %, 5 seconds at most."""
    return min(timeout / 5, 5.0)
