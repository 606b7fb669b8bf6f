"""The accelerator's ports against a memory and a host written from the rules of AXI, as unkind as these allow."""
