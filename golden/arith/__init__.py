"""The integer steps that several operations are made of."""
