"""Vitreous: co-design of transformer accelerators, from a PyTorch model to simulated RTL."""

__version__ = "0.1.0"

__all__ = ["__version__"]
