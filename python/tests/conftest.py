"""What all tests share."""

import os
import signal

import pytest
from certificates import Certificates, made

OTHERS = (
    *("EXEUNT_GRACE", "EXEUNT_LAME_DUCK", "EXEUNT_MAX_ATTEMPTS", "EXEUNT_REPORT"),
    *("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"),
    *("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"),
    *("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy"),
    *("PYTHONASYNCIODEBUG", "PYTHONOPTIMIZE", "PYTHONWARNINGS"),
)
"""What an operator, a service manager or a network says to programs, which is not said to tests."""


def pytest_configure() -> None:
    """Tests begin with the signals of a program in a terminal, whatever has started them.

    A shell without job control has its background jobs ignore SIGINT and SIGQUIT (POSIX, XCU 2.11),
    nohup SIGHUP, and some supervisors block signals: all of it is inherited through execve(2).
    """
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE}:
        if number != signal.SIGXFSZ and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
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
