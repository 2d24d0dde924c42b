"""Freed memory goes back to the system."""

import numpy as np
import pytest

from mine.kernels.memory import release_memory


def test_what_is_in_use_stays_when_memory_is_released(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = [np.full(1000, i) for i in range(100)]
    release_memory()
    assert all((array == i).all() for i, array in enumerate(kept))
    monkeypatch.setattr("sys.platform", "win32")
    release_memory()
