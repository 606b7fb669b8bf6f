"""Toggles of the shared array and of nonlinear units on real data against random data: ``make activity``."""
