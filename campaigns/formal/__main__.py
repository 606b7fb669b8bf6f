"""``python -m campaigns.formal``: every proof, and for every proof the counterexample of a broken unit.

``--only NAME`` (repeated) selects proofs; ``--write NAME FILE`` writes the design of one and proves nothing;
``--table FILE`` puts the results into the table of docs/proofs.md.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from campaigns.formal.catalogue import PROOFS, find
from campaigns.formal.prover import Proof, ProofError, Result, missing_tools, prove, refute, write_design

MARK = "<!-- results -->"


def run(proofs: list[Proof]) -> list[tuple[Proof, Result, Result]]:
    """Proof and seeded bug of each, printed as they come."""
    results = []
    for proof in proofs:
        try:
            held, broken = prove(proof), refute(proof)
        except ProofError as error:  # the others are still worth knowing
            print(error, file=sys.stderr, flush=True)
            held = broken = Result("ERROR", 0)
        results.append((proof, held, broken))
        good = held.verdict == "PASS" and broken.verdict == "FAIL"
        print(
            f"{'ok  ' if good else 'BAD '} {proof.name:24} {held.verdict} {held.seconds:6.1f} s, "
            f"bug {broken.verdict} {broken.seconds:5.1f} s, {proof.bound}",
            flush=True,
        )
    return results


def table(results: list[tuple[Proof, Result, Result]]) -> str:
    """The rows of docs/proofs.md."""
    lines = ["| proof | unit | statement | bound | s | seeded bug found in s |", "| --- " * 6 + "|"]
    for proof, held, broken in results:
        cells = (proof.name, f"`{proof.unit}`", proof.statement.replace("|", "\\|"), proof.bound)
        lines.append(f"| {' | '.join(cells)} | {held.seconds:.0f} | {broken.seconds:.0f} |")
    return "\n".join(lines)


def main() -> int:
    """0 when every proof holds and every seeded bug is found."""
    parser = argparse.ArgumentParser(prog="python -m campaigns.formal", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", choices=[p.name for p in PROOFS]
    )
    parser.add_argument("--write", nargs=2, metavar=("NAME", "FILE"))
    parser.add_argument("--table", type=Path, metavar="FILE")
    chosen = parser.parse_args()
    if chosen.write:
        write_design(find(chosen.write[0]).top(), Path(chosen.write[1]))
        return 0
    if sentence := missing_tools():
        print(sentence, file=sys.stderr)
        return 2
    results = run([proof for proof in PROOFS if not chosen.only or proof.name in chosen.only])
    bad = [
        proof.name for proof, held, broken in results if (held.verdict, broken.verdict) != ("PASS", "FAIL")
    ]
    if chosen.table:
        before, _, rest = chosen.table.read_text().partition(MARK)
        after = rest.partition(MARK)[2]
        chosen.table.write_text(f"{before}{MARK}\n{table(results)}\n{MARK}{after}")
    seconds = sum(held.seconds + broken.seconds for _, held, broken in results)
    print(
        f"{len(results)} proofs in {seconds:.0f} s" + (f"; not as expected: {', '.join(bad)}" if bad else "")
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
