"""The store unit: from the on-chip memories to DRAM."""
