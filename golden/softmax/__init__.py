"""Softmax and its row scales: one interface, a file for each variant."""
