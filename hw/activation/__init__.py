"""The smooth activation functions: one interface, a file for each variant."""
