"""Compilation of kernels: what the user is told of it."""

from collections.abc import Callable

import numba
import pytest

import mine.kernels.jit
from mine.kernels.jit import compiled


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("slow", [True, False])
def test_slow_compilation_is_reported_once_and_only_to_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], terminal: bool, slow: bool
) -> None:
    cancelled = []

    class Clock:
        """A timer that expires at once where compiling is slow, and is cancelled before it expires elsewhere."""

        def __init__(self, seconds: float, ring: Callable[[], None]) -> None:
            assert seconds > 0
            self.ring = ring

        def start(self) -> None:
            if slow:
                self.ring()

        def cancel(self) -> None:
            cancelled.append(self)

    monkeypatch.setattr(numba, "njit", lambda *signatures, **options: lambda function: function)
    monkeypatch.setattr("mine.kernels.jit.Timer", Clock)
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal, raising=False)
    mine.kernels.jit._report_compilation.cache_clear()
    for _ in range(2):
        compiled("void()")(lambda: None)
    mine.kernels.jit._report_compilation.cache_clear()
    assert len(cancelled) == 2
    reported = capsys.readouterr().err.splitlines()
    assert reported == (["compiling kernels for this CPU, once: some 20 seconds"] if terminal and slow else [])
