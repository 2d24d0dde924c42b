"""The one exception that means "the input is at fault": the command line prints it as a single line."""


class InputError(ValueError):
    """Bad input, told in one line: what it is, the value found, and what to do about it."""
