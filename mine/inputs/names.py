"""Names of files that are not UTF-8: systems have them, libraries and texts do not."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mine.inputs.files import open_regular

_SURROGATES = re.compile("[\ud800-\udfff]")
"""What Python has for the bytes of a name that are not UTF-8."""


@contextmanager
def utf8_name(path: str | Path) -> Iterator[str]:
    """A name of a file for libraries that take UTF-8 alone: its own, or that which the system has for an open file.

    Args:
        path: The file.

    Raises:
        OSError: It has to be opened, and cannot be.
    """
    if not _SURROGATES.search(str(path)):
        yield str(path)
        return
    with open_regular(path) as file:
        yield f"/dev/fd/{file.fileno()}"


def as_text(name: str) -> str:
    """A name with the replacement character for what is not UTF-8."""
    return _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", name)
