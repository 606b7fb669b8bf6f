"""Area of an accelerator by synthesis, piece by piece."""
