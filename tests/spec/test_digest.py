"""Digests of sources: every file to any depth counts, and nothing that Python writes beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from vitreous.spec import digest
from vitreous.spec.digest import code_digest, file_digest, source_digest, source_files


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of one room with a file in a folder of a folder; digests are computed afresh each time."""
    monkeypatch.setattr(digest, "__file__", str(tmp_path / "spec" / "digest.py"))
    monkeypatch.setattr(digest, "source_digest", source_digest.__wrapped__)
    monkeypatch.setattr(digest, "code_digest", code_digest.__wrapped__)
    for name in ("room/unit.py", "room/block/part/deep.py", "room/bench.sv", "other/unit.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"NAME = {name!r}\n")
    return tmp_path


@pytest.mark.parametrize("name", ["room/unit.py", "room/block/part/deep.py", "room/bench.sv"])
@pytest.mark.parametrize("kind", ["source_digest", "code_digest"])
def test_every_file_counts_to_any_depth(package: Path, name: str, kind: str) -> None:
    first = getattr(digest, kind)("room")
    (package / name).write_text("NAME = 2\n")
    assert getattr(digest, kind)("room") != first


def test_a_moved_file_counts_and_caches_do_not(package: Path) -> None:
    first = digest.source_digest("room")
    (package / "room" / "__pycache__").mkdir()
    (package / "room" / "__pycache__" / "unit.pyc").write_bytes(b"x")
    (package / "other" / "unit.py").write_text("")
    assert digest.source_digest("room") == first
    (package / "room" / "unit.py").rename(package / "room" / "block" / "unit.py")
    assert digest.source_digest("room") != first


def test_a_place_without_files_is_an_error(package: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no source"):
        digest.source_digest("room", "rooom")


def test_comments_do_not_make_results_stale(package: Path) -> None:
    def of(text: str) -> str:
        (package / "room" / "unit.py").write_text(text)
        return str(digest.code_digest("room"))

    first = of('"""One."""\nSTEP = 4\n"""A step."""\n')
    assert of('"""Another."""\n\n# It is four.\nSTEP = 4\n') == first
    assert of('"""One."""\nSTEP = 5\n"""A step."""\n') != first
    assert of('"""One."""\nSTEP = "4"\n') != first


def test_a_file_that_cannot_be_read_has_no_digest(tmp_path: Path) -> None:
    assert file_digest(tmp_path / "none") == ""
    (tmp_path / "one").write_text("1")
    assert file_digest(tmp_path / "one")


def test_the_rooms_are_read_whole() -> None:
    names = {name for name, _ in source_files("hw", "sim", "reports")}
    assert {"sim/cycles/load.py", "hw/board/uart.py", "reports/page/templates/sections/energy.html"} <= names
