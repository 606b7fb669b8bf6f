"""Measurements that are no tests: run with ``make bench``; figures are ratios within one run."""
