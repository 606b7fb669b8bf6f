"""The host's side of an accelerator."""
