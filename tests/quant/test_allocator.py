import platform
import resource

import numpy as np
import pytest

from vitreous.quant.allocator import keep_large_blocks


def faults_of(arrays: int) -> int:
    """Page faults of making and dropping arrays of 80 MB."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(arrays):
        np.ones(10_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_the_memory_of_an_array_is_that_of_the_one_before() -> None:
    assert keep_large_blocks()
    faults_of(2)
    assert faults_of(10) < 200
