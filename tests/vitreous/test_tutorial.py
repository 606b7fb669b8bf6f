"""docs/tutorial.md as a reader takes it: files are saved, commands run, outputs compared with the page."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.schemas import faults
from tests.support.tree import DOCS, ROOT

PAGE = (DOCS / "tutorial.md").read_text()


class Block(NamedTuple):
    """A fenced block: its language, and its text."""

    language: str
    text: str


def blocks(page: str) -> Iterator[Block]:
    for match in re.finditer(r"^```(\w+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        yield Block(match[1], match[2])


def pattern(text: str) -> str:
    """Lines that stand one after the other, an ellipsis for anything in a line."""
    return "\n".join(".*".join(map(re.escape, line.split("…"))) for line in text.rstrip().splitlines())


def test_an_ellipsis_stands_for_anything_in_a_line() -> None:
    assert re.search(pattern("… cycles, …%\nend\n"), "a\n12 cycles, 3.5%\nend\nb")
    assert not re.search(pattern("… cycles, …%\nend\n"), "12 cycles,\n3.5%\nend")


def test_every_block_is_a_file_a_command_or_an_output() -> None:
    found = list(blocks(PAGE))
    assert {block.language for block in found} == {"python", "toml", "sh", "text"}
    files = [block.text.partition("\n")[0] for block in found if block.language in ("python", "toml")]
    assert files == ["# stripes.py", "# small.toml", "# look.py", "# wide.toml"]
    assert all(f"`{name.removeprefix('# ')}`" in PAGE for name in files if name != "# look.py")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Please use rfc3986")
def test_the_tutorial_works(tmp_path: Path) -> None:
    """Simulators are kept in the tree, as those of the other tests."""
    scripts = Path(sys.executable).parent
    env = {
        **os.environ,
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "XDG_CACHE_HOME": str(ROOT / "build" / "cache"),
        "CCACHE_DIR": os.environ.get("CCACHE_DIR", str(Path.home() / ".cache" / "ccache")),
    }
    output = ""
    for block in blocks(PAGE):
        if block.language in ("python", "toml"):
            (tmp_path / block.text.partition("\n")[0].removeprefix("# ")).write_text(block.text)
        elif block.language == "sh":
            done = subprocess.run(
                ["bash", "-e", "-c", block.text],
                cwd=tmp_path,
                env=env,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{block.text}\n{done.stdout}\n{done.stderr}"
            output = done.stdout
        else:
            assert re.search(pattern(block.text), output), output
    first, second = (
        json.loads((tmp_path / name / "report.json").read_text()) for name in ("first", "second")
    )
    assert not faults("report", first)
    assert not faults("record", json.loads((tmp_path / "first" / "recorded.json").read_text()))
    assert first["accuracy_float"] > 0.9
    assert first["accuracy_int"] > first["accuracy_float"] - 0.02
    # What the page says of four times the multipliers.
    assert 1 < first["cycles_per_image"] / second["cycles_per_image"] < 4
    assert (tmp_path / "compared" / "comparison.html").is_file()
    for name in ("rtl/accelerator.core", "program.lst", "graph.json"):
        assert (tmp_path / "first" / name).is_file()
