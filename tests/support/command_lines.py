"""Program text that runs command lines of `mine`, many in one process: what `python -c` is given begins with it."""

OUTCOME = """
import contextlib, io, json, sys
from mine.cli.main import main

def outcome(line):
    sys.argv, error, status = ["mine", *line], io.StringIO(), 0
    with contextlib.redirect_stderr(error):
        try:
            main()
        except SystemExit as end:
            status = end.code
    return [status, error.getvalue()]
"""
"""Defines `outcome`: from the words of a command line to its exit status and what it wrote to standard error."""
