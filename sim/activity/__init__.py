"""Switching activity: one unit's RTL in Verilator, driven with given words, and how often each of its nets toggled."""

from vitreous.sim.activity.bench import ActivityBench, Run, Wire
from vitreous.sim.activity.saif import SaifError, read_saif

__all__ = ["ActivityBench", "Run", "SaifError", "Wire", "read_saif"]
