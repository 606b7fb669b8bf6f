"""A place that tells the members of a kind apart, and the ways to find out which of them it knows."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, IntEnum, StrEnum
from typing import Any

from tests.support.tree import ROOT

Known = Callable[[], Iterable[Any]]


def name(member: object) -> str:
    """Numbers are told by their names, words are what they are."""
    return member.name if isinstance(member, IntEnum) else str(member)


@dataclass(frozen=True)
class Place:
    """``file`` (or folder) tells the members of a kind apart, and must know all of ``members()``."""

    file: str
    known: Known
    members: Callable[[], Iterable[Any]]

    def lacks(self) -> list[str]:
        """Members that the place does not know, by name."""
        known = {name(member) for member in self.known()}
        return [name(member) for member in self.members() if name(member) not in known]


def works(members: Iterable[Any], call: Callable[[Any], object]) -> Iterator[Any]:
    """The members for which ``call`` does not raise."""
    for member in members:
        try:
            call(member)
        except Exception:
            continue
        yield member


def named(place: str, kind: type[Enum]) -> Iterator[Enum]:
    """The members of ``kind`` that the Python files of ``place`` name as ``Kind.MEMBER``."""
    root = ROOT / place
    found: set[str] = set()
    for path in [root] if root.is_file() else sorted(root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
                owner = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
                if owner == kind.__name__:
                    found.add(node.attr)
    return (member for member in kind if member.name in found)


def words(place: str, kind: type[Enum]) -> Iterator[Enum]:
    """The members of ``kind`` that the text of ``place`` names."""
    found = set(re.findall(r"\w+", (ROOT / place).read_text()))
    return (member for member in kind if name(member) in found)


def quoted(place: str, kind: type[StrEnum]) -> Iterator[StrEnum]:
    """The members of ``kind`` that the text of ``place`` names as code: some are common words."""
    text = (ROOT / place).read_text()
    return (member for member in kind if f"`{member}`" in text)
