"""From a float nn.Module to the integer graph: import, calibration, quantization."""
