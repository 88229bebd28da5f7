"""The examples, stopped at points all over their lives: some of those of `scripts/python-sweep`.

What they are to do then is P40 to P69; `lives_of_examples` has them all.
"""

import ast
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from lives import EXAMPLES, SEEDS, Life, Strike, live, strikes
from lives_of_examples import LIVES

STRUCK = {"before": 1, "alone": 3, "doubled": 3, "in the stop": 3}
"""How often each is in this suite; some hundred times in the sweep."""

SERVERS = {"asyncio_server", "background", "event_loop", "own_loop"}
"""They are driven by tests of their own, under load."""


@pytest.mark.parametrize("life", LIVES, ids=lambda life: life.name)
def test_it_ends_well_whenever_it_is_told(life: Life) -> None:
    chosen = [strike for way, number in STRUCK.items() for strike in some(life, way, number)]
    with ThreadPoolExecutor(4) as side_by_side:
        list(side_by_side.map(lambda strike: live(life, strike), chosen))


def some(life: Life, way: str, number: int) -> list[Strike]:
    """So many, all over its life, by all signals and to all whom they are sent to."""
    those = [strike for strike in strikes(life, 0.005) if strike.way == way]
    first = sum(life.name.encode())
    return [those[(first + len(those) * n // number + n) % len(those)] for n in range(number)]


def test_no_example_is_left_out() -> None:
    swept = {life.script for life in LIVES}
    examples = {path for path in EXAMPLES.glob("*.py") if path.stem not in SERVERS}
    assert examples <= swept
    assert {path for path in SEEDS.glob("*.py") if uses_blocks(path)} <= swept


def uses_blocks(path: Path) -> bool:
    imported = {
        node.module
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
    }
    return bool(imported & {"exeunt", "exeunt.graceful_shutdown"})
