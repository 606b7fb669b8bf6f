"""One root for every error of ours, and the hint for a word that is nearly right."""

import ast

import pytest

import vitreous
from tests.support.tree import ROOMS, ROOT, python_files
from vitreous.spec.errors import VitreousError, near

BUILT_IN = {"Exception", "ValueError", "TypeError", "RuntimeError", "KeyError", "OSError"}


def raised_classes() -> dict[str, tuple[str, list[str]]]:
    """Of every public exception class: where it stands and the names of its bases."""
    found = {}
    for folder in (*ROOMS, "vitreous"):
        for path in python_files(folder):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ClassDef) and node.name.endswith("Error") and node.name[0] != "_":
                    bases = [ast.unparse(base).rpartition(".")[2] for base in node.bases]
                    found[node.name] = (f"{path.relative_to(ROOT)}:{node.lineno}", bases)
    return found


def test_every_error_of_ours_has_the_one_root() -> None:
    found = raised_classes()
    assert len(found) > 15
    ours = {"VitreousError"}
    while more := {name for name, (_, bases) in found.items() if ours & set(bases)} - ours:
        ours |= more
    others = {
        name: where for name, (where, bases) in found.items() if BUILT_IN & set(bases) and name not in ours
    }
    assert not others


def test_the_root_is_public() -> None:
    assert vitreous.VitreousError is VitreousError
    with pytest.raises(vitreous.VitreousError, match="Unknown accelerator 'edge65'.*did you mean 'edge64'"):
        vitreous.load_accelerator("edge65")


def test_near_words_are_suggested_and_far_ones_are_not() -> None:
    assert near("edge65", ["edge64", "square256"]) == "; did you mean 'edge64'?"
    assert near("polish", ["edge64", "square256"]) == ""
