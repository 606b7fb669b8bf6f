"""Layer norm and RMS norm without their affine part: one interface, a file for each variant."""
