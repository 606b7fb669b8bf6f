"""The page of an ablation: what each switched-off optimization costs, as bars and as a table; like a run's page."""

from __future__ import annotations

from vitreous.reports.ablation.ablation import Ablation
from vitreous.reports.ablation.words import words
from vitreous.reports.page.page import environment, style


def page(ablation: Ablation) -> str:
    """The whole file: self-contained, light and dark, for screens of any width and for paper."""
    made = environment().get_template("ablation.html")
    return made.render(words(ablation, "measured"), t=ablation, style=style())
