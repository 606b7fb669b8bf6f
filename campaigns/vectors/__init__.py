"""Vectors through every arithmetic unit in RTL: ``python -m campaigns.vectors``, and a small share in the tests."""
