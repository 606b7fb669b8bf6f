"""The clock of an accelerator: synthesis of the whole machine and static timing analysis."""
