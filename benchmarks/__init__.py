"""Measurements that are not tests: run with ``make bench``; figures are ratios within one run."""
