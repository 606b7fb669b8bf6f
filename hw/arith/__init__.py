"""Arithmetic that several units share, and what accompanies data through a pipeline."""
