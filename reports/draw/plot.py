"""Pictures by matplotlib, without a display: the same data gives the same bytes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal


@contextmanager
def plotting(text: Literal["path", "none"]) -> Iterator[Any]:
    """``pyplot``, with the settings of matplotlib that pictures of ours have, whatever others have set.

    text : how an SVG holds it: ``path`` looks the same everywhere, ``none`` stays text, a tenth of the size.
    """
    import matplotlib

    matplotlib.use("Agg")
    with matplotlib.rc_context({"svg.hashsalt": "vitreous", "svg.fonttype": text}):
        from matplotlib import pyplot

        yield pyplot


def contents(pyplot: Any, figure: Any, form: str) -> bytes:
    """``figure`` as a file of the format ``form`` (``svg``, ``png``); it is closed."""
    written = io.BytesIO()
    metadata = {"Date": None} if form == "svg" else None
    figure.savefig(written, format=form, metadata=metadata, dpi=120)
    pyplot.close(figure)
    return written.getvalue()
