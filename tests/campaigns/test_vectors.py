"""A share of the campaign (``make vectors``): every unit, every variant, whole spaces where they are small."""

import pytest

from campaigns.vectors.campaign import GROUPS, run_group
from vitreous.hw.activation.activation import VARIANTS as ACTIVATION_VARIANTS
from vitreous.hw.softmax.softmax import VARIANTS as SOFTMAX_VARIANTS

COUNT = 60_000
SEED = 2


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS)
def test_every_unit_equals_golden(group: str) -> None:
    result = run_group(group, COUNT, SEED, short=True)
    print(f"seed {SEED}, build {result.build_seconds:.0f} s")
    for row in result.rows:
        print(row)
        assert row.vectors >= COUNT // 5
        assert not row.mismatches, str(row)


@pytest.mark.parametrize(
    ("group", "variants"),
    [
        ("scores", SOFTMAX_VARIANTS),
        ("probabilities", (*SOFTMAX_VARIANTS, "V")),
        ("activation", ACTIVATION_VARIANTS),
        ("norms", ("one_pass", "two_pass")),
        ("columns", ("one_pass", "two_pass")),
        ("products", ("plain", "accumulate", "packed")),
    ],
)
def test_every_variant_has_a_case(group: str, variants: object) -> None:
    names = {case.variant.replace(",", " ").split()[0] for case in GROUPS[group]() if case.variant}
    assert names == set(variants)  # type: ignore[call-overload]


def test_names_are_unique() -> None:
    cases = [case for make in GROUPS.values() for case in make()]
    assert len({(case.name, case.space) for case in cases}) == len(cases)
