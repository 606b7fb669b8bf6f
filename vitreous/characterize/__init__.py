"""Measurements of hardware units: errors, cost, activity."""
