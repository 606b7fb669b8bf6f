import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.reports.recorded import record, record_data
from vitreous.reports.errors import ReportError
from vitreous.reports.record import record as records
from vitreous.reports.record.record import FILE_NAME, from_dict


def test_record_survives_the_disk(tmp_path: Path) -> None:
    path = records.save(record(), tmp_path)
    assert path == tmp_path / FILE_NAME
    assert records.load(tmp_path) == record()
    assert [p.name for p in tmp_path.iterdir()] == [FILE_NAME]


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    data = copy.deepcopy(record_data())
    change(data)
    return data


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda d: d.update(format="other"), "The record has format 'other'; expected 'vitreous-record-8'"),
        (
            lambda d: d.update(format="vitreous-record-7"),
            "The record has format 'vitreous-record-7', written by another version of Vitreous; this one reads "
            "'vitreous-record-8': repeat the run",
        ),
        (lambda d: d["memory"].pop("stored"), "memory lacks stored"),
        (lambda d: d["memory"].update(input_offset=300), "The input image lies outside the read window"),
        (lambda d: d["memory"].update(program_offset=320), "The program lies outside the read window"),
        (lambda d: d["memory"].update(write_bytes=40), "logits is stored outside the write window"),
        (
            lambda d: d["memory"]["buffers"][0].update(memory="Q"),
            "Buffer first weights: memory must be one of X, W, R, P, S, not 'Q'",
        ),
        (
            lambda d: d["memory"]["buffers"][1].update(words=0),
            "Buffer first out: its words or instructions are not valid",
        ),
        (
            lambda d: d["memory"]["buffers"][2].update(last_pc=6),
            "Buffer norm out is used by no instruction of the program",
        ),
        (lambda d: d.update(extra=1), "The record has unknown entries: extra"),
        (lambda d: d.pop("build"), "The record lacks build"),
        (lambda d: d["model"].pop("macs"), "model lacks macs"),
        (lambda d: d["model"]["attention"][1].pop("keys"), r"model.attention\[1\] lacks keys"),
        (
            lambda d: d["model"]["attention"][0]["widths"].pop(),
            "Attention first.out: nothing is recorded for 16 bits",
        ),
        (
            lambda d: d["model"]["probabilities"]["errors"].update(wide=None),
            "A measured precision of probabilities needs errors of 8 and of 16 bits, and the gain",
        ),
        (lambda d: d["simulation"].update(images=[]), "The record has no simulated image"),
        (
            lambda d: d["simulation"]["images"][0]["counters"].update(mystery=3),
            "Image 0: unknown counters: mystery",
        ),
        (
            lambda d: d["simulation"]["images"][1]["counters"].pop("r_reads"),
            "Image 1: counters are missing: r_reads",
        ),
        (
            lambda d: d["simulation"]["images"][0]["counters"].update(cycles=0),
            "Image 0: cycles must be positive, not 0",
        ),
        (lambda d: d["simulation"]["spans"].append([4, 1, 0, 1]), r"Span \(4, 1, 0, 1\) is not valid"),
        (lambda d: d["simulation"]["spans"].append([1, 1, 9, 8]), r"Span \(1, 1, 9, 8\) is not valid"),
        (
            lambda d: d["simulation"]["spans"].append([1, 6, 0, 1]),
            r"Span \(1, 6, 0, 1\) belongs to no instruction of the program",
        ),
        (lambda d: d["checks"][0].update(unit="bit"), "Check outputs: unit must be value or byte, not 'bit'"),
        (lambda d: d["accuracy"].update(correct_int=None), "An accuracy that is missing needs a reason"),
    ],
)
def test_entries_without_meaning_are_refused(
    change: Callable[[dict[str, Any]], object], sentence: str
) -> None:
    with pytest.raises(ReportError, match=sentence):
        from_dict(changed(change))


def test_wrong_configuration_and_program_are_named() -> None:
    with pytest.raises(ReportError, match=r"configuration is wrong: array.lanes must be one of 4, 8, 16, 32"):
        _ = from_dict(changed(lambda d: d["config"]["array"].update(lanes=5))).accelerator
    with pytest.raises(ReportError, match=r"program cannot be decoded: Unknown opcode 15"):
        _ = from_dict(changed(lambda d: d["instructions"].append(["0f" + 31 * "00", ""]))).program


def test_missing_and_truncated_files_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"holds no recorded run: cannot read .*recorded.json"):
        records.load(tmp_path)
    text = json.dumps(record_data())
    (tmp_path / FILE_NAME).write_text(text[: len(text) // 2])
    with pytest.raises(ReportError, match=r"recorded.json is truncated or not JSON"):
        records.load(tmp_path)
    (tmp_path / FILE_NAME).write_text("[]")
    with pytest.raises(ReportError, match=r"recorded.json: The record has format 'list'"):
        records.load(tmp_path)
