"""What all tests share: one thread each, because the workers are as many as the cores, the marks `quick` and
`alike`, and the count of skips.
"""

import gc
import os
from collections import Counter

# Before torch or numpy is imported, and inherited by the processes that tests start.
for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import pytest  # noqa: E402

from tests import skips  # noqa: E402
from tests.support.tree import ROOT  # noqa: E402
from vitreous.spec import folders  # noqa: E402

# Before a module takes them over: tests find and leave nothing in the cache of the user.
folders.SIMULATORS = ROOT / "build" / "sim"
folders.SYNTHESIS = ROOT / "build" / "synthesis"
folders.PLACED = ROOT / "build" / "place"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    kept: Counter[str] = Counter()
    for item in items:
        alike = item.get_closest_marker("alike")
        if alike is not None and item.get_closest_marker("slow") is None:
            test = item.nodeid.partition("[")[0]
            kept[test] += 1
            if kept[test] > alike.args[0]:
                item.add_marker(pytest.mark.slow)
        if item.get_closest_marker("slow") is None and item.get_closest_marker("quick") is None:
            item.add_marker(pytest.mark.quick)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Spare the collector what the imports left, some million objects, and let it work less often: a seventh of
    the processor time of tests that build hardware or export a model.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a session that skipped more than tests/skips.py allows; with workers, the one that gathers their results."""
    if not _skipped(session.config) or hasattr(session.config, "workerinput"):
        return
    _, allowed = skips.summary(_skipped(session.config))
    if not allowed and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    lines, _ = skips.summary(_skipped(terminalreporter.config))
    terminalreporter.section("skips")
    for line in lines:
        terminalreporter.line(line)


def _skipped(config: pytest.Config) -> list[tuple[str, str]]:
    """(node id, reason) of every test, or whole file, that was skipped."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    reports = reporter.stats.get("skipped", []) if reporter else []
    return [
        (report.nodeid, report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr))
        for report in reports
    ]


@pytest.fixture
def icarus() -> str:
    """The path of Icarus Verilog's compiler; skips the test where it is not installed."""
    from vitreous.sim.run.toolchain import iverilog

    found = iverilog()
    if found is None:
        pytest.skip("Icarus Verilog (iverilog, vvp) is not on PATH; it is a second opinion and not in PyPI")
    return str(found)
