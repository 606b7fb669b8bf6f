"""What is written about Vitreous by Vitreous: JSON Schemas, the configuration reference, the supported operators.

``python -m vitreous.reference`` (`make docs`) writes them; tests/vitreous/reference compares what is committed.
"""
