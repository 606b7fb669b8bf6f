"""What a run says of its results, in words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from vitreous.flow import comparison
from vitreous.reports.figures.interval import wilson
from vitreous.reports.record.record import AccuracyRecord, Check
from vitreous.reports.report import Report, cautions, shares
from vitreous.spec.images import ImageOrigin

if TYPE_CHECKING:
    from vitreous.models import LoadedModel


def data_lines(model: LoadedModel) -> list[str]:
    """Whose images calibrate and judge the model, with a mark where figures on them say little."""
    lines = []
    for what, source, origin in (
        ("calibration", model.calibration_source, model.calibration_origin),
        ("test", model.test_source, model.test_origin),
    ):
        match origin:
            case ImageOrigin.GIVEN | ImageOrigin.SHIPPED:
                mark = ""
            case ImageOrigin.SYNTHETIC:
                mark = f"  ! synthetic: give your own with --{what} DATA"
            case ImageOrigin.CALIBRATION:
                mark = "  ! calibration's own images: give others with --test DATA"
            case never:
                assert_never(never)
        lines.append(f"  {what + ':':<13}{source}{mark}")
    return lines


def checks_line(checks: Sequence[Check]) -> str:
    """How much was compared and how much of it differs."""
    return "; ".join(f"{c.name}: {c.compared:,} {c.unit}s compared, {c.different:,} differ" for c in checks)


def accuracy_line(a: AccuracyRecord) -> str:
    """Both accuracies in a sentence, or why there are none; below it whose images, and why they may say little."""
    if a.agree is None or a.test is None:
        return f"no accuracy: {a.reason}"
    whose = "".join(f"\n  ! {text}" for text in cautions(a))
    same = f"same class as float in {a.agree:,} of {a.images:,} ({_interval(a.agree, a.images)})"
    if a.correct_float is None or a.correct_int is None:
        return f"{same}; no accuracy: {a.reason}\n  {a.test.source}{whose}"
    integer = f"integer {a.correct_int / a.images:.2%} ({_interval(a.correct_int, a.images)})"
    return f"float {a.correct_float / a.images:.2%}, {integer}; {same}\n  {a.test.source}{whose}"


def _interval(count: int, images: int) -> str:
    low, high = wilson(count, images)
    return f"95 % interval {low:.1%} to {high:.1%}"


def summary(report: Report, folder: Path) -> str:
    """The last lines of a run."""
    differing = comparison.differing(report.checks)
    verdict = "equal to golden" if report.equal else f"DIFFERS from golden: {'; '.join(differing[:5])}"
    return "\n".join(
        [
            "",
            f"{report.model} on {report.accelerator}: {verdict}",
            f"  {report.values_compared:,} values compared, {report.values_different:,} differ; "
            f"{report.bytes_compared:,} bytes compared, {report.bytes_different:,} differ",
            f"  {report.cycles_per_image:,.0f} cycles for one image, {shares(report)}, "
            f"{report.latency_ms:.3g} ms at {report.clock_mhz:g} MHz ({report.clock_source})",
            f"  clock: {report.clock_note}",
            f"  simulated at {report.sim_cycles_per_second / 1e6:.2f} million cycles a second",
            f"  {folder / 'index.html'}",
        ]
    )
