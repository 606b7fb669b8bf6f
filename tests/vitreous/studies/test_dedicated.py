"""Dedicated units: which pairs of arrays there are, and what the composition adds up."""

from dataclasses import replace

import pytest
import torch

from tests.support.compiler.graphs import TWO_BLOCKS, random_vit_graph
from vitreous.reports.area.area import area
from vitreous.sim.dram import MemoryTiming
from vitreous.spec.config import AcceleratorConfig, ArrayConfig, load_accelerator
from vitreous.studies.dedicated import Workbench, _layer, is_attention, splits, with_an_eighth

torch.set_num_threads(1)

CONFIG = replace(load_accelerator("edge64"), array=ArrayConfig(lanes=8, depth=4))


def workbench(config: AcceleratorConfig = CONFIG) -> Workbench:
    return Workbench(random_vit_graph(3, **TWO_BLOCKS), config, MemoryTiming())


@pytest.mark.parametrize(("lanes", "depth"), [(4, 4), (8, 4), (16, 4), (16, 1)])
def test_pairs_share_the_multipliers(lanes: int, depth: int) -> None:
    array = ArrayConfig(lanes=lanes, depth=depth)
    pairs = splits(array)
    assert pairs
    assert all(a.macs_per_cycle + b.macs_per_cycle == array.macs_per_cycle for a, b in pairs)


def test_the_published_pair_is_256_and_32() -> None:
    pairs = with_an_eighth(load_accelerator("edge256").array)
    assert [(a.macs_per_cycle, b.macs_per_cycle) for a, b in pairs] == [(256, 32)]
    assert splits(ArrayConfig(lanes=4, depth=1)) == []


def test_every_cycle_of_the_prediction_is_somebodys() -> None:
    part = workbench()._part(CONFIG.array)
    assert part.heads == (2, 2)
    assert all(cycles > 0 for cycles in (*part.projections, *part.attention, part.rest))
    total = sum(part.projections) + sum(part.attention) + part.rest
    assert total == part.prediction.cycles
    products = [i for i in part.program.instructions if is_attention(i)]
    assert len(products) == 2 * 2 * 2 * 4  # scores and context, 2 heads, 2 layers, 26 tokens in tiles of 8


def test_units_on_the_same_array_one_after_another_are_the_unified_one() -> None:
    bench = workbench()
    serial, overlapped = bench.candidates([(CONFIG.array, CONFIG.array)])
    assert serial.cycles == bench._part(CONFIG.array).prediction.cycles
    assert overlapped.cycles < serial.cycles


def test_heads_overlap_at_most_but_the_first_and_the_last() -> None:
    assert _layer(3, 300, 600, overlapped=False) == 900
    assert _layer(3, 300, 600, overlapped=True) == 100 + 200 + 200 + 200
    assert _layer(1, 300, 600, overlapped=True) == 900


def test_dedicated_units_are_slower_and_cost_more_of_what_they_have_twice() -> None:
    bench = workbench()
    base = bench._part(CONFIG.array)
    half = ArrayConfig(lanes=8, depth=2)
    serial, overlapped = bench.candidates([(half, half)])
    assert base.prediction.cycles < overlapped.cycles < serial.cycles
    assert bench.ideal().cycles <= overlapped.cycles
    one, two = area(serial.linear.config, "xcup").total, serial.area("xcup")
    assert one.dsp
    assert two["dsp"] > one.dsp
    assert serial.area("nowhere") == {}
    energies = [made.energy("fpga-ultrascale-plus", "ddr4", 200.0) for made in (serial, overlapped)]
    assert energies[0].typical > energies[1].typical > 0


def test_what_does_not_fit_is_no_candidate() -> None:
    huge = ArrayConfig(lanes=32, depth=8)
    small = replace(CONFIG, memory=replace(CONFIG.memory, activation_kib=2))
    assert workbench(small).candidates([(huge, CONFIG.array)]) == []
