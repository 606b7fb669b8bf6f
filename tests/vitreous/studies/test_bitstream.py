"""What a bitstream for ECP5 cannot have is said before anything is made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from vitreous.errors import RunError
from vitreous.spec.config import load_accelerator
from vitreous.studies import bitstream


def test_ultraram_is_refused(tmp_path: Path) -> None:
    config = load_accelerator("edge64-ecp5")
    config = replace(config, memory=replace(config.memory, style="ultra"))
    with pytest.raises(RunError, match='ECP5 has no UltraRAM: the bitstream needs memory.style = "auto"'):
        bitstream.placement(config, memory_kib=304, clock_mhz=50, seed=1, cache=tmp_path)
