"""The root of every error of ours, and the hint that a sentence about a wrong word ends with."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class VitreousError(Exception):
    """Something that cannot be done as asked. Each room has classes of its own below this one; the message is a
    sentence for the user that says what is wrong and what would be right.
    """


def near(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'edge64'?`` where one of ``known`` resembles ``word``, else nothing."""
    found = difflib.get_close_matches(str(word), [str(name) for name in known], n=1, cutoff=0.6)
    return f"; did you mean {found[0]!r}?" if found else ""
