"""Large arrays keep their memory from one to the next."""

from __future__ import annotations

import ctypes
from functools import cache

# Parameters of glibc's mallopt, from malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST_ARRAY = 1 << 30
_KEPT = (1 << 31) - 1


@cache
def keep_large_blocks() -> bool:
    """Let the C library keep up to 2 GiB of freed memory for the next arrays; whether it can.

    glibc gives back every block of more than 32 MB at once and gets the next one page by page, zeroed: half the time
    of a calibration whose arrays are that large. Libraries without ``mallopt`` stay as they are.
    """
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(set_option(_MMAP_THRESHOLD, _LARGEST_ARRAY) and set_option(_TRIM_THRESHOLD, _KEPT))
