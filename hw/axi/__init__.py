"""AXI4 and AXI4-Lite, and the way from rows of bytes to bursts and from beats to words."""
