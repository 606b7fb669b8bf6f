"""What every operation means: integer PyTorch functions, an interpreter of the integer graph, a functional machine."""

from vitreous.golden.errors import GoldenError
from vitreous.golden.interpreter import run, run_batch

__all__ = ["GoldenError", "run", "run_batch"]
