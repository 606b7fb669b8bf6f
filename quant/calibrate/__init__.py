"""Ranges, scales and precisions of integer tensors, from calibration."""
