"""What a description may be elaborated for: families of FPGAs whose primitives it names.

``rtlil.convert(component, platform=UltraScalePlus())``. For any other platform, and for none, the same component is
plain logic with the same registers, so that a simulation, a proof and a tool that infers blocks need no model of a
primitive.
"""

from __future__ import annotations


class UltraScalePlus:
    """UltraScale+: the array's sums in DSP48E2 (multipliers ``packed`` and ``accumulate``)."""


class Ecp5:
    """Lattice ECP5: products in MULT18X18D with its output register (multiplier ``plain``)."""


Platform = UltraScalePlus | Ecp5
TARGETS: dict[str, Platform | None] = {
    "generic": None,
    "ultrascale-plus": UltraScalePlus(),
    "ecp5": Ecp5(),
}
"""By the name that a user gives."""
