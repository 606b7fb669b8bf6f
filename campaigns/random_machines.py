"""``python -m campaigns.random_machines FIRST LAST``: RTL against the functional machine on random accelerators.

Every seed is an accelerator of its own (N up to 32) and so a Verilator build; too long for ``make test``. Prints one
line for each seed and leaves no build behind. Exit status 1 when a byte differs or a machine stops.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.support.compiler.cases import random_case
from tests.support.compiler.graphs import random_image, random_vit_graph
from tests.support.sim.small import TIMINGS
from vitreous.compiler import CompileError, compile
from vitreous.flow.comparison import compare
from vitreous.sim.errors import SimulationError
from vitreous.sim.run.runtime import simulate


def try_seed(seed: int) -> tuple[bool, str]:
    """Whether the seed passes, and what there is to say."""
    sizes, config = random_case(seed)
    graph = random_vit_graph(**sizes)
    array, tokens = config.array, sizes["image"]
    what = f"{array.lanes}x{array.depth} {config.bus.data_bits} bit {config.softmax.variant}, image {tokens}"
    try:
        program = compile(graph, config, observe=True)
    except CompileError as error:
        return True, f"{what}: does not fit ({error})"
    image = random_image(graph, seed)
    with tempfile.TemporaryDirectory() as folder:
        root, run = Path(folder) / "build", Path(folder) / "run"
        timing = TIMINGS[seed % len(TIMINGS)]
        try:
            result = simulate(program, [image], config, folder=run, timing=timing, build_root=root)
        except SimulationError as error:
            return False, f"{what}: {error}"
    (check,) = compare(None, config, [image], [(program, result.windows)])
    cycles = result.images[0].counters["cycles"]
    return (
        check.different == 0,
        f"{what}: {check.different} of {check.compared} bytes differ, {cycles} cycles",
    )


def main() -> int:
    """Exit status 1 where a machine differs from the functional one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("first", type=int)
    parser.add_argument("last", type=int)
    arguments = parser.parse_args()
    failed = 0
    for seed in range(arguments.first, arguments.last + 1):
        passed, text = try_seed(seed)
        failed += not passed
        print(f"{seed} {'ok' if passed else 'FAILED'} {text}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
