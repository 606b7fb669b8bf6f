"""The cycle model: a compiled program at the level of instructions, without RTL."""

from vitreous.sim.cycles.model import Prediction, predict

__all__ = ["Prediction", "predict"]
