"""Python's own handler of SIGINT, while it is lent to us."""

import sys

import pytest
from shielded import shielded

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or sys.version_info >= (3, 14),
    reason="lent on interpreters that were tried",
)

LENT = """
import os, signal, threading, warnings
# From 3.12 on a fork warns of the lender, whom the kernel may count a moment longer than `join`.
warnings.simplefilter("ignore", DeprecationWarning)
from exeunt import _lent
calls = []
lender = threading.Thread(target=lambda: print(_lent.lend(lambda: calls.append("ours"))))
lender.start()
lender.join()
def interrupted():
    try:
        signal.raise_signal(signal.SIGINT)
        return len(calls), "returned"
    except KeyboardInterrupt:
        return len(calls), "KeyboardInterrupt"
"""


def test_p41_a_child_forked_meanwhile_has_pythons_handler_of_sigint_back() -> None:
    text = (
        LENT
        + "child = os.fork()\nif child == 0:\n    print('child', *interrupted())\n    os._exit(0)\n"
    )
    text += (
        "os.waitpid(child, 0)\nprint('parent', *interrupted())\nprint('parent', *interrupted())\n"
    )
    with shielded(text) as running:
        assert running.end() == (
            0,
            "True\nchild 0 KeyboardInterrupt\nparent 1 returned\nparent 1 KeyboardInterrupt\n",
        )
