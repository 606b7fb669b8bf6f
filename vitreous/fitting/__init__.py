"""The accelerator for a model: the smallest memories that hold it, and the array that a device or a rate asks for."""
