"""Studies of an accelerator: estimate, ablation, dedicated units, bitstream."""
