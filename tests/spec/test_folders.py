"""The user's cache folder: where it is, and what happens where it cannot be written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.tree import ROOT
from vitreous.spec import folders

# No file can be made in /proc, not even by root.
UNWRITABLE = Path("/proc/none")


def test_the_folders_are_in_the_cache_of_the_user(tmp_path: Path) -> None:
    code = "from vitreous.spec import folders as f; print(f.SIMULATORS, f.SYNTHESIS, f.PLACED, sep='\\n')"
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    names = ("sim", "synthesis", "place")
    assert done.stdout.split() == [str(tmp_path / "vitreous" / name) for name in names]
    assert not list(tmp_path.iterdir()), "asking for a folder makes none"


def test_what_can_be_written(tmp_path: Path) -> None:
    assert folders.can_write(tmp_path / "new" / "folder")
    assert not list((tmp_path / "new" / "folder").iterdir())
    assert not folders.can_write(UNWRITABLE)
    (tmp_path / "file").touch()
    assert not folders.can_write(tmp_path / "file")


def test_tools_get_a_folder_of_their_own_where_there_is_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "_CACHE", UNWRITABLE / "vitreous")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    with folders.caches_of_tools():
        place = Path(os.environ["XDG_CACHE_HOME"])
        assert folders.can_write(place)
    assert "XDG_CACHE_HOME" not in os.environ
    assert not place.exists()


def test_a_cache_in_order_stays_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "_CACHE", tmp_path / "vitreous")
    monkeypatch.setenv("XDG_CACHE_HOME", "kept")
    with folders.caches_of_tools():
        assert os.environ["XDG_CACHE_HOME"] == "kept"
    monkeypatch.setattr(folders, "_CACHE", UNWRITABLE / "vitreous")
    with folders.caches_of_tools():
        assert os.environ["XDG_CACHE_HOME"] != "kept"
    assert os.environ["XDG_CACHE_HOME"] == "kept"
