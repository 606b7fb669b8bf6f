"""Every sentence that docs/troubleshooting.md quotes is one that the code can say."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.support.tree import DOCS, ROOMS, python_files

QUOTES = re.findall(r"^> (.*)$", (DOCS / "troubleshooting.md").read_text(), re.MULTILINE)


def said(source: str) -> Iterator[str]:
    """The texts of Python ``source``, with an ellipsis for what is filled in."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
            yield "".join(map(str, parts))


def matches(quote: str, text: str) -> bool:
    """Whether ``quote`` stands in ``text``: its words in order, whatever its ellipses stand for."""
    return bool(re.search(".*".join(re.escape(part) for part in quote.split("…")), text))


@pytest.fixture(scope="module")
def sentences() -> set[str]:
    files = [path for folder in (*ROOMS, "vitreous") for path in python_files(folder)]
    return {text for path in files for text in said(path.read_text())}


@pytest.mark.parametrize("quote", QUOTES)
def test_the_quoted_sentence_is_in_the_code(quote: str, sentences: set[str]) -> None:
    assert any(matches(quote, text) for text in sentences), quote


def test_the_page_quotes_and_the_check_can_fail(sentences: set[str]) -> None:
    assert len(QUOTES) > 15
    assert not any(matches("… was not found in the cupboard", text) for text in sentences)
    assert "… needs …: x" in said('f"{a} needs {b}: " f"x"')
    assert matches("… needs …: pip", "… needs …: pip install")
    assert not matches("… needs …: pip", "needs: pip")
