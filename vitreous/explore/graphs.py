"""The quantized models of an exploration, in its folder: each is made once."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vitreous.explore import evaluation
from vitreous.explore.evaluation import Accuracy, Quantized
from vitreous.explore.workers import Pending, Workers
from vitreous.reports.json_file import structured
from vitreous.spec import graph as graphs
from vitreous.spec.storage import write_text


class Graphs:
    """The quantized models of an exploration: each is made once, kept on disk, and handed to those that need it."""

    def __init__(self, folder: Path, pool: Workers, sources: str) -> None:
        self._folder, self._pool, self._sources = folder, pool, sources
        self._pending: dict[str, Pending] = {}
        self._done: dict[str, Any] = {}

    def get(self, what: evaluation.Numerics) -> Pending:
        """The task that gives ``what`` quantized."""
        key = self._key(what)
        if key not in self._pending:
            found = self._load(key)
            if found is None:
                task = self._pool.submit(evaluation.quantized, what, self._sources, key=f"quantize-{key}")
            else:
                task = self._pool.submit(evaluation.unchanged, found, key=f"load-{key}")
            self._pending[key] = task
        return self._pending[key]

    def result(self, what: evaluation.Numerics) -> Any:
        """Quantized or Refused; waits, and keeps it."""
        key = self._key(what)
        if key not in self._done:
            self._done[key] = result = self.get(what).result()
            if isinstance(result, Quantized):
                self._save(key, result)
        return self._done[key]

    def _key(self, what: evaluation.Numerics) -> str:
        return hashlib.sha256(f"{what.key} {self._sources}".encode()).hexdigest()[:16]

    def _load(self, key: str) -> Quantized | None:
        path = self._folder / f"{key}.accuracy.json"
        if not path.is_file():
            return None
        accuracy = structured(Accuracy, json.loads(path.read_text()), path.name)
        return Quantized(graph=graphs.load(self._folder / f"{key}.safetensors"), accuracy=accuracy)

    def _save(self, key: str, result: Quantized) -> None:
        path = self._folder / f"{key}.accuracy.json"
        if path.is_file():
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        graphs.save(result.graph, self._folder / f"{key}.safetensors")
        write_text(path, json.dumps(asdict(result.accuracy)))  # last: it says that the graph is whole
