"""The statistics of layer norm and RMS norm: one interface, a file for each variant."""
