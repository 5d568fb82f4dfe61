"""The page of promises names tests and figures that there are, and no promise is without."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/promises.md").read_text("utf-8")
CHAPTERS = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
TEST, FIGURE = re.compile(r"`(tests/[^`:]+\.py)::(\w+)`"), re.compile(r"figure `([\w-]+)`")


def tree(file):
    return ast.walk(ast.parse((ROOT / file).read_text("utf-8")))


def defined_in(file):
    """Return the names of a file's test functions."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in tree(file) if isinstance(node, kinds) and node.name.startswith("test_")}


def figures():
    """Return the names `make bench FIGURES=…` takes."""
    (table,) = (
        n for n in tree("tests/bench/run.py") if isinstance(n, ast.AnnAssign) and ast.unparse(n.target) == "FIGURES"
    )
    return {key.value for key in table.value.keys}


def test_every_promise_has_its_chapter():
    assert [chapter.split(".")[0] for chapter in CHAPTERS] == [str(number) for number in range(1, 9)]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.splitlines()[0])
def test_a_promise_is_proven_by_what_there_is(chapter):
    named = TEST.findall(chapter)
    assert len(named) == chapter.count("`tests/"), "one is written otherwise"
    assert [(file, name) for file, name in named if name not in defined_in(file)] == []
    assert set(FIGURE.findall(chapter)) <= figures()
    assert named or FIGURE.findall(chapter)
