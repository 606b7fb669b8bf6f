"""A real scheduler and two workers on this machine, one of them killed in the middle of a search."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.explore import tiny
from tests.support.tree import ROOT
from vitreous.errors import RunError
from vitreous.explore import Options, explore
from vitreous.explore.fields import design
from vitreous.explore.search import Search
from vitreous.reports.exploration import pareto_picture
from vitreous.reports.exploration.exploration import Exploration

POINTS = 16


@contextmanager
def cluster(folder: Path, count: int) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """The address of a scheduler, and its workers, one process each."""
    file = folder / "scheduler.json"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}

    def start(*words: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", *words, "--scheduler-file", str(file)]
        return subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    local = ("--host", "127.0.0.1")
    running = [start("distributed.cli.dask_scheduler", *local, "--port", "0", "--no-dashboard", "--no-show")]
    try:
        worker = ("distributed.cli.dask_worker", *local, "--no-nanny", "--nthreads", "1", "--no-dashboard")
        running += [start(*worker) for _ in range(count)]
        deadline = time.monotonic() + 60
        while not file.is_file():
            assert time.monotonic() < deadline, "the scheduler does not start"
            time.sleep(0.05)
        yield json.loads(file.read_text())["address"], running[1:]
    finally:
        for process in running:
            process.kill()
            process.wait()


def designs(found: Exploration) -> list[str]:
    base, fixed = tiny.space().base, tiny.space().fixed
    points = [point for point in found.searches[0].points if point.figures]
    return [design(base, {**fixed, **point.settings}).key for point in points]


@pytest.mark.slow
def test_a_killed_worker_loses_nothing_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed import Client

    monkeypatch.setattr(pareto_picture, "draw", lambda *_: None)
    alone = explore(tiny.space(), tmp_path / "alone", Options(points=POINTS, confirm=0))
    # The same start for both: the graph is there, and the workers need not import torch for it.
    there = tmp_path / "cluster"
    there.mkdir()
    (tmp_path / "alone" / "graphs").rename(there / "graphs")
    tell, killed = Search._tell, []

    with cluster(tmp_path, 2) as (address, workers), Client(address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
        process_of = dict(client.run(os.getpid).items())

        def tell_and_kill(self: Search, *arguments: object) -> None:
            tell(self, *arguments)  # type: ignore[arg-type]
            if self.tally.points == 5 and not killed:
                # Of the two the one that has results or tasks that nobody has taken yet.
                held = {a: len(keys) for a, keys in client.has_what().items()}
                waiting = {a: len(keys) for a, keys in client.processing().items()}
                victim = max(held, key=lambda a: held[a] + waiting.get(a, 0))
                os.kill(process_of[victim], signal.SIGKILL)
                killed.append(held[victim] + waiting.get(victim, 0))

        monkeypatch.setattr(Search, "_tell", tell_and_kill)
        shared = explore(tiny.space(), there, Options(points=POINTS, confirm=0, scheduler=address))
        ended = [process.poll() for process in workers]

    assert killed[0] > 0, "the killed worker had nothing to lose"
    assert ended.count(-signal.SIGKILL) == 1
    assert ended.count(None) == 1
    assert len(designs(shared)) == len(set(designs(shared))) == POINTS
    assert shared.searches == alone.searches


def test_no_scheduler_there(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    from vitreous.explore import workers

    with (
        pytest.MonkeyPatch.context() as patch,
        pytest.raises(RunError, match=r"No Dask scheduler answers at tcp://127\.0\.0\.1:9"),
    ):
        patch.setattr(workers, "FIRST_WORKER_SECONDS", 0.5)
        with workers.workers(scheduler="tcp://127.0.0.1:9"):
            pass
