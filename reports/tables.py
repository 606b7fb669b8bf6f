"""Tables as text for other programs and for documents."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence


def csv_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Comma-separated values with a line of headings; None is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue()


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown, without a line break at its end; cells are Markdown already."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows))
