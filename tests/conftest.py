"""What all tests share: one thread each, because the workers are as many as the cores, and the mark `quick`."""

import os

# Before torch or numpy is imported, and inherited by the processes that tests start.
for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import pytest  # noqa: E402


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("slow") is None and item.get_closest_marker("quick") is None:
            item.add_marker(pytest.mark.quick)


@pytest.fixture
def icarus() -> str:
    """The path of Icarus Verilog's compiler; skips the test where it is not installed."""
    from vitreous.sim.run.toolchain import iverilog

    found = iverilog()
    if found is None:
        pytest.skip("Icarus Verilog (iverilog, vvp) is not on PATH; it is a second opinion and not in PyPI")
    return str(found)
