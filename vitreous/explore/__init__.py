"""Design-space exploration: a space from TOML, NSGA-II over the cycle model, the Pareto front confirmed in RTL."""

from vitreous.explore.options import Options
from vitreous.explore.run import explore
from vitreous.explore.space import Space
from vitreous.explore.space_file import read_space

__all__ = ["Options", "Space", "explore", "read_space"]
