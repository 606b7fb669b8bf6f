"""Benches with models of their own: the accelerator's ports under a protocol model, units under vectors."""
