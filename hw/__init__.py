"""Everything that becomes gates, described in Amaranth, and its Verilog and FuseSoC output."""
