"""Ties a simulation process to the process that started it, so that an interrupted run leaves no simulation behind."""

from __future__ import annotations

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1
"""From Linux's ``sys/prctl.h``."""


def die_with_parent() -> None:
    """End this process when its parent ends, however that happens (Ctrl-C, SIGTERM, SIGKILL). Linux only.

    cocotb swallows a KeyboardInterrupt that falls into a trigger, so the signal of the terminal is not enough: an
    orphan would keep writing results into a folder that the next run has taken over.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
