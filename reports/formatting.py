"""Numbers and sentences as people read them on a page."""

from __future__ import annotations

import math
import re
from html import escape

NARROW = "\u202f"
_NUMBER = re.compile(r"(?<![^.])\d+(?![^.])")
_CODE = re.compile(r"`([^`]*)`")


class Html(str):
    """A text that is HTML already: a template takes it as it is."""

    def __html__(self) -> str:
        return str(self)


def grouped(value: float) -> str:
    """1234567 -> ``1 234 567`` with narrow spaces; numbers that are not whole keep one digit."""
    text = f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"
    return text.replace(",", NARROW)


def figures3(value: float) -> str:
    """Three significant digits without an exponent for what a table usually holds: ``0.0123``, ``41.3``, ``40 000``."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else "–"
    places = 2 - math.floor(math.log10(abs(value)))
    if places <= 0:
        return f"{round(value, places):,.0f}".replace(",", NARROW)
    text = f"{value:.{places}f}"
    return text if places <= 6 else f"{value:.2e}"


def figures_or_whole(value: float) -> str:
    """Whole numbers as they are, others with three significant digits."""
    return grouped(value) if value == int(value) else figures3(value)


def group_name(label: str) -> str:
    """``blocks.3.mlp.fc1`` -> ``blocks.*.mlp.fc1``: layers whose names differ only by a number are one group."""
    return _NUMBER.sub("*", label)


def counted(value: float) -> str:
    """14258816 -> ``14.3 million``: a number of things, ready for their name."""
    for limit, word in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if value >= limit:
            return f"{value / limit:.3g} {word}"
    return grouped(value)


def with_prefix(value: float, unit: str) -> str:
    """0.00123, ``J`` -> ``1.23 mJ``: three significant digits and the prefix of the SI that keeps them short."""
    for limit, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n")):
        if abs(value) >= limit:
            return f"{value / limit:.3g}{NARROW}{sign}{unit}"
    return f"{value / 1e-12:.3g}{NARROW}p{unit}" if value else f"0{NARROW}{unit}"


def percent(value: float, digits: int = 1) -> str:
    """0.1234 -> ``12.3 %``."""
    return f"{100 * value:.{digits}f}{NARROW}%"


def first_word(text: str) -> str:
    """``modelled; extrapolated array`` -> ``modelled``."""
    found = re.match(r"\w*", text)
    return found.group() if found else ""


def sentence(text: str) -> str:
    """With a capital letter, for a line of its own."""
    return text[:1].upper() + text[1:]


def breakable(label: str) -> Html:
    """Escaped for HTML; a line may break after each dot and underscore of a long name."""
    return Html(re.sub(r"([._])", r"\1<wbr>", escape(label)))


def code(text: str) -> Html:
    """Escaped for HTML, with ```name``` as a ``code`` element."""
    return Html(_CODE.sub(r"<code>\1</code>", escape(text)))
