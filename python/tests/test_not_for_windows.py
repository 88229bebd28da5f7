"""P77: what there is not on Windows says so; elsewhere in a process that says it is there."""

import sys

from running import program

import exeunt
from exeunt import _not_for_windows

PRETENDS = """
import sys
sys.platform = "win32"
"""
USES = """
import exeunt
for name in ("ProcessPool", "serve", "Server"):
    try:
        getattr(exeunt, name)(2)
    except NotImplementedError as error:
        print(error)
try:
    import exeunt.mongoose
except ImportError as error:
    print(error)
"""


def test_each_use_says_what_there_is_in_place_of_it() -> None:
    with program(("" if sys.platform == "win32" else PRETENDS) + USES) as started:
        status, said = started.end()
    assert status == 0, said
    pool, serve, server, mongoose = said.splitlines()
    assert "exeunt.ProcessPool is not for Windows yet" in pool
    assert "ThreadPool" in pool
    assert serve == server
    assert "exeunt.serve is not for Windows yet" in serve
    assert "exeunt.mongoose is not for Windows yet" in mongoose


def test_the_names_are_those_of_the_package() -> None:
    assert set(_not_for_windows.__all__) <= set(exeunt.__all__)
