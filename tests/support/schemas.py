"""Data against the JSON Schemas that Vitreous comes with."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import jschon

from vitreous.reference import schemas


@cache
def validator(name: str) -> jschon.JSONSchema:
    """The schema of ``name``, which is one itself."""
    jschon.create_catalog("2020-12")
    made = jschon.JSONSchema(json.loads(schemas.committed(name)))
    assert made.validate().valid
    return made


def faults(name: str, data: Any) -> list[str]:
    """What of ``data``, as JSON, the schema of ``name`` does not allow."""
    result = validator(name).evaluate(jschon.JSON(json.loads(json.dumps(data))))
    if result.valid:
        return []
    return [f"{error['instanceLocation']}: {error['error']}" for error in result.output("basic")["errors"]]
