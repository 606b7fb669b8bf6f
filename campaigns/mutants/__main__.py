"""``python -m campaigns.mutants``: run every mutation of the catalogue and write docs/results/mutants.md.

First the unmutated tree must pass all cases (else nothing would be proved), then each mutant is built and
simulated in a process
of its own. Results are kept in ``build/mutants/results.json`` after each one, so an interrupted run resumes
where it was.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

from rich.progress import Progress

from campaigns.mutants.cases import write_cases
from campaigns.mutants.catalogue import MUTATIONS
from campaigns.mutants.mutation import ROOT, Mutation, mutated_tree
from vitreous.spec.digest import source_digest

Verdict = dict[str, str]


def _key(mutation: Mutation) -> str:
    """Changes with the mutation and with everything in hw, so that old verdicts are not trusted."""
    return hashlib.sha256(f"{mutation!r} {source_digest('hw', 'spec')}".encode()).hexdigest()[:16]


def run_probe(tree: Path, cases: Path, builds: Path) -> Verdict:
    """The verdict of ``campaigns.mutants.probe`` in a process that imports only from ``tree``."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-m", "campaigns.mutants.probe", str(cases), str(builds)]
    result = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    if result.returncode:
        return {"verdict": "unbuildable", "why": result.stderr.strip().splitlines()[-1][:200]}
    verdict: Verdict = json.loads(result.stdout.strip().splitlines()[-1])
    return verdict


def _one(mutation: Mutation, folder: Path, cases: Path) -> Verdict:
    tree = mutated_tree(mutation, folder / "tree")
    verdict = run_probe(tree, cases, folder / "builds")
    shutil.rmtree(folder, ignore_errors=True)
    return verdict


def run_all(folder: Path, workers: int) -> list[tuple[Mutation, Verdict]]:
    """Verdicts of the catalogue in order. Raises RuntimeError when the unmutated tree does not pass."""
    cases = write_cases(folder / "cases")
    store = folder / "results.json"
    known: dict[str, Verdict] = json.loads(store.read_text()) if store.is_file() else {}
    clean = run_probe(ROOT, cases, folder / "clean")
    if clean["verdict"] != "survived":
        raise RuntimeError(f"The unmutated description does not pass: {clean['why']}")

    def work(index: int) -> tuple[str, Verdict]:
        mutation = MUTATIONS[index]
        key = _key(mutation)
        return key, known.get(key) or _one(mutation, folder / f"mutant-{index:02d}", cases)

    with Progress() as progress, ThreadPoolExecutor(workers) as pool:
        task = progress.add_task("mutants", total=len(MUTATIONS))
        verdicts = []
        for key, verdict in pool.map(work, range(len(MUTATIONS))):
            known[key] = verdict
            store.write_text(json.dumps(known, indent=1))
            verdicts.append(verdict)
            progress.advance(task)
    return list(zip(MUTATIONS, verdicts, strict=True))


def report(results: list[tuple[Mutation, Verdict]]) -> str:
    """The Markdown page of docs/results."""
    caught = sum(v["verdict"] == "caught" for _, v in results)
    lines = [
        "# Mutations of the RTL description",
        "",
        f"{caught} of {len(results)} caught. {date.today().isoformat()}, `make mutants`, {platform.machine()}.",
        "",
        "Each mutant changes one place of `hw/`, is compiled with Verilator and runs the cases of",
        "`campaigns/mutants/cases.py`; caught means that a stored byte differs from the functional machine, that the",
        "machine reports an error, or that it does not end.",
        "",
        "| # | kind | file | from | to | verdict | how |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for index, (mutation, verdict) in enumerate(results, 1):
        cells = (mutation.old, mutation.new, verdict["why"])
        old, new, why = (text.replace("|", "\\|").replace("\n", " ") for text in cells)
        row = f"| {index} | {mutation.kind} | {mutation.file} | `{old.strip()}` | `{new.strip()}` "
        lines.append(row + f"| {verdict['verdict']} | {why} |")
    return "\n".join([*lines, ""])


def main() -> int:
    """Exit status 1 when a mutant is not caught."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("build/mutants"))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "results" / "mutants.md")
    arguments = parser.parse_args()
    results = run_all(arguments.folder.absolute(), arguments.workers)
    arguments.page.parent.mkdir(parents=True, exist_ok=True)
    arguments.page.write_text(report(results))
    missed = [m for m, v in results if v["verdict"] != "caught"]
    for mutation in missed:
        print(f"not caught: {mutation}")
    print(f"{len(results) - len(missed)} of {len(results)} mutations caught; {arguments.page}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
