"""Area of an accelerator from measured pieces, and the report's part on it."""
