"""What every operation means: integer PyTorch kernels, the graph interpreter and the functional machine."""
