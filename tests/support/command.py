"""The type of the fixture that runs a command in this process."""

from collections.abc import Callable

Run = Callable[..., tuple[int, str, str]]
"""Called with the arguments of `mine`, it returns the exit status, the standard output and the standard error."""
