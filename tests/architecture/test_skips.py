"""A run that skips more than tests/skips.py allows fails, and says what it skipped."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.skips import ALLOWED, summary
from tests.support.tree import ROOT


def test_every_pattern_names_a_file_of_tests() -> None:
    assert [skip for skip in ALLOWED if not (ROOT / skip.pattern.partition("::")[0]).is_file()] == []


def test_skips_are_counted_and_judged() -> None:
    browser = ("tests/reports/page/test_browser.py::test_print[dark]", "no Chromium")
    assert summary([]) == (["0 skipped"], True)
    assert summary([browser]) == (["1 skipped: 1 without chromium, chromium-driver"], True)
    lines, allowed = summary([browser, ("tests/spec/test_isa.py::test_a", "because")])
    assert lines[0] == "2 skipped: 1 without chromium, chromium-driver"
    assert lines[1:] == ["NOT ALLOWED (tests/skips.py) tests/spec/test_isa.py::test_a: because"]
    assert not allowed


@pytest.mark.slow
@pytest.mark.parametrize("workers", [[], ["-n", "1"]])
@pytest.mark.parametrize(
    "source",
    [
        "import pytest\n\ndef test_a():\n    pass\n\ndef test_b():\n    pytest.skip('because')\n",
        "import pytest\npytest.skip('because', allow_module_level=True)\n\ndef test_b():\n    pass\n",
    ],
)
def test_a_session_with_an_unlisted_skip_fails(tmp_path: Path, source: str, workers: list[str]) -> None:
    (tmp_path / "test_some.py").write_text(source)
    (tmp_path / "test_other.py").write_text("def test_c():\n    pass\n")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "tests.conftest",
        "-p",
        "no:cacheprovider",
        *workers,
    ]
    result = subprocess.run(
        [*command, f"--rootdir={tmp_path}", "-c", "/dev/null", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1, result.stdout + result.stderr
    assert "1 skipped\nNOT ALLOWED (tests/skips.py) " in result.stdout
    assert "test_some.py" in result.stdout
    assert "because" in result.stdout
