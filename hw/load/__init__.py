"""The load unit: from DRAM to the on-chip memories."""
