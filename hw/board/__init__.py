"""What surrounds an accelerator on an FPGA board: a serial loader, on-chip memory behind AXI4, clock and reset."""
