"""The folder of compiled simulators: one that cannot be written, and several builders at once."""

import threading
from pathlib import Path

import pytest

from vitreous.sim.errors import SimulationError
from vitreous.sim.run import build as module


def test_a_folder_that_cannot_be_written_is_one_sentence() -> None:
    expected = (
        r"^The folder of compiled simulators /proc/none cannot be written; name another with --build-dir$"
    )
    with pytest.raises(SimulationError, match=expected):
        module._once(Path("/proc/none/edge"), lambda folder: None)


def test_several_builders_of_one_simulator_make_it_once(tmp_path: Path) -> None:
    made: list[Path] = []
    started = threading.Event()

    def make(folder: Path) -> None:
        made.append(folder)
        started.set()
        assert not (folder / "done.json").exists()

    builds: list[module.Build] = []
    threads = [
        threading.Thread(target=lambda: builds.append(module._once(tmp_path / "edge", make)))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert started.is_set()
    assert made == [tmp_path / "edge"]
    assert sorted(build.cached for build in builds) == [False] + [True] * 5


def test_a_build_that_failed_is_made_afresh(tmp_path: Path) -> None:
    def fails(folder: Path) -> None:
        (folder / "half").touch()
        raise SimulationError("stopped")

    with pytest.raises(SimulationError, match="^stopped$"):
        module._once(tmp_path / "edge", fails)
    build = module._once(tmp_path / "edge", lambda folder: (folder / "whole").touch())
    assert sorted(path.name for path in build.folder.iterdir()) == ["done.json", "whole"]
