"""Builders, monitors and reference models that several tests and campaigns share, by room."""
