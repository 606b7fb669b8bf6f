"""From the integer graph to a program: fusion, tiling, memory planning, scheduling, encoding."""

from vitreous.compiler.errors import CompileError
from vitreous.compiler.listing import listing
from vitreous.compiler.pipeline import compile

__all__ = ["CompileError", "compile", "listing"]
