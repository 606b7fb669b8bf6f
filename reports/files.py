"""A report as files: the page, its data, and the tables and the trace for other programs."""

from __future__ import annotations

import json
from pathlib import Path

from vitreous.reports.export import exports
from vitreous.reports.page.page import render
from vitreous.reports.report import Report
from vitreous.spec.storage import write_text


def write(report: Report, folder: str | Path) -> tuple[Path, Path]:
    """Write ``index.html`` and ``report.json`` into ``folder``, each whole or not at all; returns both paths.

    Beside them the tables and the trace of ``reports.export``.
    """
    folder = Path(folder)
    texts = {"index.html": render(report), "report.json": json.dumps(report.as_dict(), indent=1)}
    texts |= exports(report)
    for name, text in texts.items():
        write_text(folder / name, text)
    return folder / "index.html", folder / "report.json"
