"""The matrix unit: operand sequencer, array, readout and epilogue."""
