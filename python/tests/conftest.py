"""What all tests share."""

import os

import pytest
from certificates import Certificates, made
from running import begin_as_in_a_terminal

OTHERS = (
    *(
        "EXEUNT_GRACE",
        "EXEUNT_LAME_DUCK",
        "EXEUNT_LAME_DUCK_QUIET",
        "EXEUNT_MAX_ATTEMPTS",
        "EXEUNT_REPORT",
    ),
    *("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"),
    *("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"),
    *("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy"),
    *("PYTHONASYNCIODEBUG", "PYTHONOPTIMIZE", "PYTHONWARNINGS"),
)
"""What an operator, a service manager or a network says to programs, which is not said to tests."""


def pytest_configure() -> None:
    """Tests begin with the signals and the environment of a program in a terminal."""
    begin_as_in_a_terminal()
    for name in OTHERS:
        os.environ.pop(name, None)


@pytest.fixture(scope="session")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Certificates, made once."""
    return made(tmp_path_factory.mktemp("certificates"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leaves out what takes long, unless it is asked for."""
    if os.environ.get("EXEUNT_SOAK") == "1":
        return
    for item in items:
        if item.get_closest_marker("soak") is not None:
            item.add_marker(pytest.mark.skip(reason="takes long; EXEUNT_SOAK=1 runs it"))
