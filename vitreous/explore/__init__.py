"""Design-space exploration: a space from TOML, NSGA-II over the cycle model, the Pareto front confirmed in RTL."""

from vitreous.explore.run import Options, explore
from vitreous.explore.space import Space, read_space

__all__ = ["Options", "Space", "explore", "read_space"]
