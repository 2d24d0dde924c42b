"""Tests of permissions, which root, who may run the tests, passes over."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

VERSION = 0x20080522
"""Of the structures of Linux's capget and capset, with 64 bits."""

OVERRIDES = 1 << 1 | 1 << 2
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, by which root reads and writes anything."""


@contextmanager
def permissions_count() -> Iterator[None]:
    """Context in which this thread is held to the permissions of files, root or not."""
    if sys.platform != "linux":
        if os.name != "posix" or os.geteuid() == 0:
            pytest.skip("permissions do not hold")
        yield
        return
    library = ctypes.CDLL(None, use_errno=True)
    header, sets = (ctypes.c_uint32 * 2)(VERSION, 0), (ctypes.c_uint32 * 6)()
    assert library.capget(header, sets) == 0
    effective = sets[0]
    sets[0] = effective & ~OVERRIDES
    assert library.capset(header, sets) == 0
    try:
        yield
    finally:
        sets[0] = effective
        assert library.capset(header, sets) == 0
