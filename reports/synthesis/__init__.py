"""Yosys, place and route, and what they say: cells, nets, paths, timing."""
