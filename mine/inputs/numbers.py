"""Whole numbers in texts of unknown origin."""

MAX_DIGITS = 18
"""Most digits: numbers fit into 64 bits. Python refuses to read those of more than 4,300."""


def whole_number(text: str) -> int | None:
    """The number that a text is, None for all but ASCII digits: to `str.isdigit`, superscripts are digits as well."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS else None
