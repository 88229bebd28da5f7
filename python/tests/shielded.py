"""Programs with blocks, which say what they do a whole line at a time."""

import textwrap
from collections.abc import Sequence
from contextlib import AbstractContextManager

from running import Program, program

PRINT = """
import os
def print(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())
"""


def shielded(text: str, argv: Sequence[str] = ()) -> AbstractContextManager[Program]:
    """Runs it; a `print` of it is one system call, which no signal and no thread divides."""
    return program(PRINT + textwrap.dedent(text), argv=argv)
