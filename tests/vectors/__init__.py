"""Vectors through every arithmetic unit in RTL: ``python -m tests.vectors``, and a small share in the tests."""
