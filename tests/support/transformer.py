"""What the small transformers of tests have in common, as graphs and as modules."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Transformer:
    """Side of a patch in pixels, heads and hidden units of each block, and whether a class token leads the others."""

    patch: int = 4
    heads: int = 2
    hidden: int = 24
    class_token: bool = True
