"""From the float IR and its scales to the integer graph."""
