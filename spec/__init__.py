"""What hardware and software must agree on, each thing once."""
