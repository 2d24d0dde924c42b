"""`InputError`, the one exception for bad input, and how a program ends on it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """Bad input, reported in one line: what it is, the value found, and the remedy."""


@contextmanager
def exit_on_input_error(program: str) -> Iterator[None]:
    """Ends the program with status 2 and the single line `program: error` when an `InputError` is raised inside."""
    try:
        yield
    except InputError as error:
        print(f"{program}: {error}", file=sys.stderr)
        sys.exit(2)
