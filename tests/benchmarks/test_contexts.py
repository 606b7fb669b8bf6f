import pytest

from benchmarks.contexts import measure
from vitreous.spec.config import SoftmaxConfig


@pytest.mark.parametrize("variant", ["base2", "online", "ibert"])
@pytest.mark.parametrize("keys", [17, 577])
def test_carried_rounding_keeps_mass_and_smooth_contexts(variant: str, keys: int) -> None:
    for row in measure(SoftmaxConfig(variant=variant), keys):
        assert row.carried_sum <= 0.5, row
        if row.values == "smooth":
            assert row.kept, row
            assert row.carried < row.plain, row
