"""Reports: figures with units and sources from recorded runs, as HTML for people and JSON for programs."""

from vitreous.reports.energy.section import EnergyChoice
from vitreous.reports.errors import ReportError
from vitreous.reports.figures.schedule import Schedule
from vitreous.reports.files import write
from vitreous.reports.record.record import Record
from vitreous.reports.report import ASSUMED_CLOCK_MHZ, Report, summarize

__all__ = [
    "ASSUMED_CLOCK_MHZ",
    "EnergyChoice",
    "Record",
    "Report",
    "ReportError",
    "Schedule",
    "summarize",
    "write",
]
