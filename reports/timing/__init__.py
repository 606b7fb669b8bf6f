"""Static timing analysis of a mapped netlist with stated delays: a pure function of netlist and table."""
