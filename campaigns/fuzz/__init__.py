"""Fuzzed programs: RTL against the functional machine, verdict and bytes."""
