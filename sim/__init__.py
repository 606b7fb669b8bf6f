"""Running the RTL: Verilator builds, cocotb benches, the memory model, the runtime and the cycle model."""
