"""The Python in the documents: it is Python, and what it takes from the package is there."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs" / "guide").glob("python*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for block in BLOCK.finditer(page.read_text()):
            line = page.read_text().count("\n", 0, block.start()) + 2
            yield f"{page.name}:{line}", block.group(1)


BLOCKS = dict(blocks())


def test_the_documents_have_python() -> None:
    assert len(PAGES) > 5
    assert len(BLOCKS) > 20


@pytest.mark.parametrize("place", BLOCKS)
def test_a_block_is_python_and_its_names_are_there(place: str) -> None:
    # Those that begin in the middle await something.
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST
    tree = compile(BLOCKS[place], place, "exec", flags)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("exeunt"):
            module = importlib.import_module(node.module or "")
            for name in node.names:
                assert hasattr(module, name.name), f"{node.module} has no {name.name}"
        elif isinstance(node, ast.Import):
            for name in node.names:
                if name.name.startswith("exeunt"):
                    importlib.import_module(name.name)
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "exeunt":
            assert hasattr(importlib.import_module("exeunt"), node.attr), node.attr
