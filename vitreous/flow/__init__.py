"""A whole run, from a model to a report, in one folder that it can continue in."""
