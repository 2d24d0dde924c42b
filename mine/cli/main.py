"""The entry of the command line: finds the command in the table, then imports and runs its function."""

import sys
from importlib import import_module
from textwrap import fill

from mine.cli.table import COMMANDS
from mine.errors import InputError, extras_required

USAGE = "usage: mine COMMAND ...      mine COMMAND --help lists a command's options"


def main() -> None:
    """Runs the command line.

    Bad input ends it with one line on standard error and exit status 2; with `--debug` the exception is raised.
    """
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    if arguments in ([], ["-h"], ["--help"]):
        print(overview())
        return
    try:
        with extras_required():
            run(*arguments)
    except InputError as error:
        if debug:
            raise
        print(f"mine: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def overview() -> str:
    """The text of `mine --help`: all commands, each with its line of help."""
    lines = [fill(f"  {name:10}{command.help}", 80, subsequent_indent=12 * " ") for name, command in COMMANDS.items()]
    return "\n".join([USAGE, "", *lines])


def run(name: str, *arguments: str) -> None:
    """Runs one command.

    Args:
        name: Name of the command.
        arguments: Its arguments and options, as strings; tyro parses them by the function's signature.

    Raises:
        InputError: For an unknown command, and whatever the command finds wrong with its input.
    """
    if name not in COMMANDS:
        raise InputError(f"unknown command {name!r}: choose one of {', '.join(COMMANDS)}")
    import tyro

    command = COMMANDS[name]
    module, function = command.function.split(":")
    tyro.cli(getattr(import_module(module), function), prog=f"mine {name}", description=command.help, args=arguments)
