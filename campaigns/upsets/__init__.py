"""Single event upsets in a running machine: how many are masked, and what the others do (docs/results/upsets.md)."""
