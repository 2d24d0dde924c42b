"""Whole numbers in texts of unknown origin."""

import pytest

from mine.inputs.numbers import whole_number


@pytest.mark.parametrize("text", ["", "²", "²1", "٣", "-1", "+1", "1.0", "1_0", " 1", "1" * 19, "1" * 5000, "x"])
def test_what_is_no_whole_number(text: str) -> None:
    assert whole_number(text) is None


@pytest.mark.parametrize("text", ["0", "000007", "123", "9" * 18])
def test_whole_numbers(text: str) -> None:
    assert whole_number(text) == int(text)
