"""Latency, energy, area and accuracy as figures with units and sources, in HTML and JSON."""
