"""Files and functions that fit on a page, folders that can be read at a glance."""

import ast
from pathlib import Path

import pytest

from tests.support.tree import ROOT, SOURCE_FOLDERS, python_files, source_files

FILE_LINES = 400
# With its docstring, without its decorators; Amaranth's `elaborate` is a function like any other.
FUNCTION_LINES = 60
FILES_OF_A_FOLDER = 20
# The flat folders configs/, examples/ and models/data grow with what they list.
READ_BY_FOLDER = ("spec", "golden", "quant", "compiler", "hw", "sim", "reports", "vitreous")


def long_functions(source: str, limit: int) -> list[tuple[int, str, int]]:
    """(line, name, lines) of every function of ``source`` that has over ``limit`` lines, nested ones too."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > limit:
                found.append((node.lineno, node.name, lines))
    return found


def test_no_source_file_is_over_the_limit() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for folder in SOURCE_FOLDERS
        for path in source_files(folder, "*.py", "*.v", "*.sv")
        if (lines := len(path.read_text().splitlines())) > FILE_LINES
    }
    assert not long, f"split at {FILE_LINES} lines: {long}"


def test_no_function_is_over_the_limit() -> None:
    long = [
        f"{path.relative_to(ROOT)}:{line}: {name} has {lines} lines"
        for folder in SOURCE_FOLDERS
        for path in python_files(folder)
        for line, name, lines in long_functions(path.read_text(), FUNCTION_LINES)
    ]
    assert not long, f"at most {FUNCTION_LINES} lines:\n" + "\n".join(long)


def test_the_check_counts_docstrings_and_sees_methods_and_inner_functions() -> None:
    source = "class A:\n    def f(self):\n        '''One.\n        Two.\n        '''\n        return 1\n"
    assert long_functions(source, 4) == [(2, "f", 5)]
    assert not long_functions(source, 5)
    assert long_functions("def f():\n    async def g():\n        pass\n    return g\n", 3) == [(1, "f", 4)]


@pytest.mark.parametrize("room", READ_BY_FOLDER)
def test_no_folder_holds_too_many_files(room: str) -> None:
    files: dict[Path, int] = {}
    for path in source_files(room, "*"):
        if path.is_file() and "__pycache__" not in path.parts:
            files[path.parent] = files.get(path.parent, 0) + 1
    assert files
    crowded = {str(folder.relative_to(ROOT)): n for folder, n in files.items() if n > FILES_OF_A_FOLDER}
    assert not crowded, f"more than {FILES_OF_A_FOLDER} files: {crowded}"
