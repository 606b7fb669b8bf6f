"""Set-up: missing tools are one message before anything starts, and a set-up that was cut short does not count."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.tree import ROOT

SYSTEM_TOOLS = ["sh", "sed", "g++", "make", "perl", "git", "mktemp", "rm", "mkdir", "touch"]


def tools_without(missing: str, folder: Path) -> str:
    """A ``PATH`` of one folder that has the tools of set-up and this Python, except ``missing``."""
    for tool in SYSTEM_TOOLS:
        found = shutil.which(tool)
        if tool != missing and found:
            (folder / tool).symlink_to(found)
    if missing != "python3":
        # A script, not a link: an interpreter finds its library by its own place.
        (folder / "python3").write_text(f'#!/bin/sh\nexec "{_base_python()}" "$@"\n')
        (folder / "python3").chmod(0o755)
    return str(folder)


def _base_python() -> str:
    return str(Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}")


def preflight(path: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": path, "HOME": os.environ.get("HOME", "/")}
    return subprocess.run(
        [shutil.which("make") or "make", "preflight"],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


def test_preflight_passes_where_all_tools_are(tmp_path: Path) -> None:
    result = preflight(tools_without("", tmp_path))
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("missing", ["g++", "perl", "git"])
def test_missing_tool_is_one_message(missing: str, tmp_path: Path) -> None:
    result = preflight(tools_without(missing, tmp_path))
    assert result.returncode != 0
    named = re.findall(r"^  (\S+): ", result.stderr, flags=re.MULTILINE)
    assert named == [missing]
    assert result.stderr.startswith("Vitreous cannot be set up on this machine. Missing:")


def test_missing_python_is_one_message(tmp_path: Path) -> None:
    result = preflight(tools_without("python3", tmp_path))
    assert result.returncode != 0
    assert re.findall(r"^  (.*?): ", result.stderr, flags=re.MULTILINE) == ["Python 3.11 or newer"]


def test_old_python_is_named(tmp_path: Path) -> None:
    path = tools_without("python3", tmp_path)
    (tmp_path / "python3").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python3").chmod(0o755)
    result = preflight(path)
    assert "Python 3.11 or newer (too old: python3)" in result.stderr


def fake_python(folder: Path, *, pip_fails: bool) -> Path:
    """A Python that answers set-up's questions, makes a venv of itself, and installs nothing or fails to."""
    program = folder / "python"
    program.write_text(
        f"""#!/bin/sh
case "$1 $2" in
"-m venv") mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
"-m pip") echo "$@" >>"{folder}/pip.log"; exit {int(pip_fails)} ;;
*) exit 0 ;;
esac
"""
    )
    program.chmod(0o755)
    return program


def run_setup(venv: Path, python: Path) -> int:
    env = {**os.environ, "PYTHON": str(python)}
    command = [".ci/setup.sh", str(venv), str(venv / ".setup-complete")]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, check=False).returncode


def test_interrupted_setup_does_not_count_and_the_next_starts_afresh(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    assert run_setup(venv, fake_python(tmp_path, pip_fails=True)) != 0
    assert not (venv / ".setup-complete").exists()
    (venv / "half-unpacked").touch()

    assert run_setup(venv, fake_python(tmp_path, pip_fails=False)) == 0
    assert (venv / ".setup-complete").exists()
    assert not (venv / ".setup-running").exists()
    assert not (venv / "half-unpacked").exists()


def test_finished_setup_is_brought_up_to_date_in_place(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    python = fake_python(tmp_path, pip_fails=False)
    assert run_setup(venv, python) == 0
    (venv / "kept").touch()
    assert run_setup(venv, python) == 0
    assert (venv / "kept").exists()
    assert "-r requirements.lock" in (tmp_path / "pip.log").read_text()


def test_lock_pins_every_dependency_and_no_cuda_package() -> None:
    lines = [
        line for line in (ROOT / "requirements.lock").read_text().splitlines() if not line.startswith("#")
    ]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line) for line in lines)
    locked = {re.sub(r"[-_.]+", "-", line.partition("==")[0]).lower() for line in lines}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + [
        w for extra in project["optional-dependencies"].values() for w in extra
    ]
    names = {re.split(r"[\[<>=]", wish)[0].lower() for wish in wanted} - {"vitreous"}
    assert names <= locked
    assert not [name for name in locked if name.startswith(("nvidia", "cuda", "triton"))]


def test_the_locked_torch_lies_in_the_range_that_is_tried_at_both_ends() -> None:
    """`make torch-range` runs the importer's tests with these two; every other run has the locked one between them."""
    listed = subprocess.run(
        [sys.executable, ".ci/torch_range.py"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    oldest, newest = (tuple(map(int, end.split("."))) for end in listed.stdout.split())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"torch>={oldest[0]}.{oldest[1]},<{newest[0]}.{newest[1] + 1}" in project["dependencies"]
    (locked,) = re.findall(r"^torch==(\d+)\.(\d+)\.", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert oldest <= tuple(map(int, locked)) <= newest
