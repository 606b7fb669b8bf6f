"""The vector unit: norms and pooling on tiles of the residual stream."""
