"""Softmax at the readout and on the way into P·V: one interface, a file for each variant."""
