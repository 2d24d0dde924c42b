"""Freed memory goes back to the system; the peak is in gigabytes."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from mine.kernels.memory import peak_memory, release_memory


def test_memory_is_released_by_glibc_where_it_is_the_c_library(monkeypatch: pytest.MonkeyPatch) -> None:
    trimmed: list[int] = []
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("ctypes.CDLL", lambda name: SimpleNamespace(malloc_trim=trimmed.append))
    release_memory()
    assert trimmed == [0]
    monkeypatch.setattr("ctypes.CDLL", lambda name: SimpleNamespace())
    release_memory()
    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setattr("ctypes.CDLL", lambda name: pytest.fail("Windows has no such library"))
    release_memory()
    assert trimmed == [0]


@pytest.mark.parametrize(("platform", "peak"), [("linux", 2.048), ("darwin", 0.002)])
def test_the_peak_is_in_gigabytes(monkeypatch: pytest.MonkeyPatch, platform: str, peak: float) -> None:
    """Linux counts it in KiB, macOS in bytes, and Windows has no such module."""
    usage = SimpleNamespace(ru_maxrss=2_000_000)
    resource = SimpleNamespace(RUSAGE_SELF=0, getrusage=lambda who: usage)
    monkeypatch.setitem(sys.modules, "resource", resource)
    monkeypatch.setattr("sys.platform", platform)
    assert peak_memory() == pytest.approx(peak)
    monkeypatch.setitem(sys.modules, "resource", None)  # an import of it fails
    assert peak_memory() is None


def test_what_is_in_use_stays_when_memory_is_released() -> None:
    kept = [np.full(1000, i) for i in range(100)]
    release_memory()
    assert all((array == i).all() for i, array in enumerate(kept))
