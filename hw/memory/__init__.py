"""The on-chip memories and the ports through which units reach them."""
