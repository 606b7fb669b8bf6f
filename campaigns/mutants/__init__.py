"""Breaks the RTL description in one place at a time and counts what the comparison with golden catches: ``make
mutants``.
"""
