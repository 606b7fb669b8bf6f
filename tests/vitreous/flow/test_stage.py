"""One stage: made once, loaded while it is fresh, made again when an input, a file or its stamp is another."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from vitreous.flow.display import Display
from vitreous.flow.display import Stage as Shown
from vitreous.flow.stage import Stage, carry_out
from vitreous.flow.workspace import Workspace


@dataclass
class Found:
    work: Workspace
    asked: str = "a"
    done: list[str] = field(default_factory=list)


def make(found: Found, shown: Shown) -> str:
    found.done.append("made")
    (found.work / "out").mkdir(exist_ok=True)
    (found.work / "out" / "file").write_text(found.asked)
    (found.work / "out" / "folder").mkdir(exist_ok=True)
    return "-> out/file"


def load(found: Found) -> str:
    found.done.append("loaded")
    return "out/file"


STAGE: Stage[Found] = Stage(
    name="stage",
    inputs={"asked": lambda found: found.asked},
    sources=("spec",),
    make=make,
    load=load,
    files=("out/*",),
    stamp="mine",
)


@pytest.fixture
def found(tmp_path: Path) -> Found:
    return Found(Workspace(tmp_path))


def test_a_stage_is_done_again_when_something_changed(
    found: Found, capsys: pytest.CaptureFixture[str]
) -> None:
    def again(stage: Stage[Found] = STAGE) -> str:
        carry_out(stage, found, found.work, Display())
        return found.done[-1]

    assert again() == "made"
    assert capsys.readouterr().out.endswith(" s  -> out/file\n")
    assert again() == "loaded"
    assert capsys.readouterr().out.split() == ["stage", "unchanged", "out/file"]
    found.asked = "b"
    assert [again(), again()] == ["made", "loaded"]
    (found.work / "out" / "file").write_text("damaged")
    assert [again(), again()] == ["made", "loaded"]
    (found.work / ".stamps" / "mine.json").write_text("{")
    assert [again(), again()] == ["made", "loaded"]


def test_a_stage_without_files_is_always_asked(found: Found, capsys: pytest.CaptureFixture[str]) -> None:
    def kept(found: Found, shown: Shown) -> str:
        found.done.append("asked")
        shown.unchanged()
        return "kept elsewhere"

    stage: Stage[Found] = Stage(name="stage", make=kept)
    for _ in range(2):
        carry_out(stage, found, found.work, Display())
    assert found.done == ["asked", "asked"]
    assert capsys.readouterr().out.split() == 2 * ["stage", "unchanged", "kept", "elsewhere"]
    assert not (found.work / ".stamps").exists()


def test_an_interrupted_stage_has_no_stamp(found: Found) -> None:
    def broken(found: Found, shown: Shown) -> str:
        make(found, shown)
        raise KeyboardInterrupt

    stage: Stage[Found] = Stage(name="stage", make=broken, load=load, files=("out/*",), stamp="mine")
    with pytest.raises(KeyboardInterrupt):
        carry_out(stage, found, found.work, Display(quiet=True))
    carry_out(STAGE, found, found.work, Display(quiet=True))
    assert found.done == ["made", "made"]
