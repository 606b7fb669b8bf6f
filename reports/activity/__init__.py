"""Switching activity that was measured: data and page."""
