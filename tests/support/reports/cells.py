"""Netlists of a few cells, as Yosys writes them, in which every delay can be added up by hand."""

from __future__ import annotations

from typing import Any

CLOCK = 1


def cell(
    kind: str, inputs: dict[str, list[Any]], outputs: dict[str, list[Any]], **parameters: int | str
) -> dict[str, Any]:
    """A cell; an integer parameter is written as bits."""
    return {
        "type": kind,
        "hide_name": 0,
        "parameters": {
            name: value if isinstance(value, str) else format(value, "032b")
            for name, value in parameters.items()
        },
        "port_directions": {**dict.fromkeys(inputs, "input"), **dict.fromkeys(outputs, "output")},
        "connections": {**inputs, **outputs},
    }


def ff(d: Any, q: int, enable: Any = "1") -> dict[str, Any]:
    return cell("FDRE", {"D": [d], "C": [CLOCK], "CE": [enable], "R": ["0"]}, {"Q": [q]})


def lut(*inputs: Any, o: int) -> dict[str, Any]:
    return cell(f"LUT{len(inputs)}", {f"I{i}": [bit] for i, bit in enumerate(inputs)}, {"O": [o]})


def module(
    *cells: dict[str, Any], names: dict[str, list[int]] | None = None, ports: dict[str, Any] | None = None
) -> dict[str, Any]:
    """A flat module; ``names``: of nets, public, and registers where they begin with ``*``."""
    bits = {b for c in cells for found in c["connections"].values() for b in found if isinstance(b, int)}
    nets = {f"$net{bit}": {"hide_name": 1, "bits": [bit], "attributes": {}} for bit in bits}
    for name, found in (names or {}).items():
        mark = {"register": "1"} if name.startswith("*") else {}
        nets[name.removeprefix("*")] = {"hide_name": 0, "bits": found, "attributes": mark}
    return {
        "cells": {f"cell{i}": c for i, c in enumerate(cells)},
        "netnames": nets,
        "ports": ports or {},
    }
