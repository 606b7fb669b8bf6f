"""The comparison of the nonlinear units: data, tables, page."""
