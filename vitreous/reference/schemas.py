"""JSON Schemas of what Vitreous reads and writes for other programs, made from the dataclasses themselves.

pydantic knows how types become a schema and is needed here only: what is committed in ``vitreous/schemas`` is part of
the wheel, and ``vitreous schema NAME`` prints it. What pydantic cannot know is added: ranges, meanings, that nothing
else may be there, and what ``as_dict`` adds to the fields.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

from vitreous.errors import RunError
from vitreous.reference import meaning
from vitreous.reports.ablation.ablation import FORMAT as ABLATION_FORMAT
from vitreous.reports.ablation.ablation import Ablation, AblationRow
from vitreous.reports.activity.activity import Activity
from vitreous.reports.record.record import FORMAT as RECORD_FORMAT
from vitreous.reports.record.record import Record
from vitreous.reports.report import Report
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.ranges import ranges
from vitreous.spec.variants import EXACT

FOLDER = Path(__file__).absolute().parent.parent / "schemas"
DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]

_NUMBER: Mapping[str, Any] = {"type": "number"}
_COMPUTED: Mapping[type, Mapping[str, Any]] = {
    Activity: {"total": _NUMBER, "ratio": _NUMBER, "deviation": _NUMBER},
    AblationRow: {
        "deviation": {"anyOf": [_NUMBER, {"type": "null"}]},
        "factors": {"type": "object", "additionalProperties": _NUMBER},
    },
    Ablation: {"format": {"const": ABLATION_FORMAT}},
    Record: {"format": {"const": RECORD_FORMAT}},
}
"""What ``as_dict`` of a class writes beside its fields."""


@dataclass(frozen=True)
class Document:
    """A kind of file: the dataclass of its contents; ``partial``: every field has a default and may be left out."""

    kind: type
    title: str
    partial: bool = False


DOCUMENTS: Mapping[str, Document] = {
    "configuration": Document(AcceleratorConfig, "An accelerator, as TOML", partial=True),
    "record": Document(Record, "What a run measured: recorded.json"),
    "report": Document(Report, "Every figure of a run: report.json"),
}


def names() -> str:
    """The documents in a sentence."""
    *first, last = DOCUMENTS
    return f"{', '.join(first)} or {last}"


def committed(name: str) -> str:
    """The schema that this version of Vitreous comes with, as JSON text. Raises RunError for an unknown name."""
    if name not in DOCUMENTS:
        raise RunError(f"There is a schema of {names()}, not of {name!r}")
    return path(name).read_text(encoding="utf-8")


def path(name: str) -> Path:
    """Where the schema of ``name`` is committed."""
    return FOLDER / f"{name}.schema.json"


def text(name: str) -> str:
    """The schema of ``name`` as it is written to its file. Needs pydantic."""
    return json.dumps(made(DOCUMENTS[name]), indent=1, ensure_ascii=False) + "\n"


def made(document: Document) -> Schema:
    """The schema of a document, from its dataclass."""
    from pydantic import TypeAdapter

    root: Schema = TypeAdapter(document.kind).json_schema(mode="serialization")
    definitions: Schema = root.get("$defs", {})
    for kind in set(_dataclasses(document.kind)):
        _complete(root if kind is document.kind else definitions[kind.__name__], kind, document)
    for definition in definitions.values():
        if document.partial and EXACT in definition.get("enum", ()):
            definition["enum"].remove(EXACT)  # golden computes it, no hardware does
        definition.pop("title", None)
    return {"$schema": DIALECT, **root, "title": document.title}


def _complete(schema: Schema, kind: Any, document: Document) -> None:
    """Add to the schema of one class what only we know."""
    properties: Schema = schema["properties"]
    properties.update(_COMPUTED.get(kind, {}))
    told = meaning.fields(kind)
    for name, entry in properties.items():
        entry.pop("title", None)
        if name in told:
            entry["description"] = told[name]
    if document.partial:
        for name, (_, allowed) in ranges(kind).items():
            properties[name].update(allowed.schema if allowed is not None else {})
        schema.pop("required", None)
    else:
        schema["required"] = list(properties)
        for entry in properties.values():
            entry.pop("default", None)
    schema["description"] = meaning.summary(kind)
    schema["additionalProperties"] = False


def _dataclasses(kind: Any) -> Iterator[type]:
    """``kind`` and every dataclass inside it, at any depth."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        yield kind
        for inner in get_type_hints(kind).values():
            yield from _dataclasses(inner)
    for argument in get_args(kind):
        yield from _dataclasses(argument)
