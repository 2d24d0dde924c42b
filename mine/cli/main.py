"""The entry of the command line: finds the command in the table, then imports and runs its function."""

import atexit
import gc
import os
import sys
import warnings
from difflib import get_close_matches
from importlib import import_module
from signal import Signals
from textwrap import fill

from mine import __version__
from mine.cli.ending import Stopped, drop_output, end, output_flushed, stopped_by_signals
from mine.cli.table import COMMANDS, Command
from mine.errors import InputError, InputWarning, extras_required, is_out_of_memory
from mine.files import NO_ROOM

USAGE = "usage: mine COMMAND ...      mine COMMAND --help lists a command's options"

GENERAL = {
    "--version": "Print the version. (-V)",
    "--debug": "Show where in the program a command failed, for bug reports.",
}
"""Options of `mine` itself, each with its line of help."""

HELP, VERSION = ("-h", "--help", "help"), ("-V", "--version", "version")


def main() -> None:
    """Runs the command line.

    Bad input, a full disk and too little memory end it with one line on standard error and exit status 2; with
    `--debug` the exception is raised. SIGTERM and SIGHUP end it with one line and status 143 and 129, Ctrl-C with
    status 130: what the command had begun to write is removed.
    """
    atexit.register(gc.freeze)  # at its end, Python would look through all of torch for garbage: 0.4 s
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        with stopped_by_signals(), output_flushed(), extras_required(), warnings.catch_warnings():
            warnings.simplefilter("always", InputWarning)
            warnings.showwarning = _show_warning  # type: ignore[assignment]  # it leaves out two parameters
            answer(arguments)
    except InputError as error:
        if debug:
            raise
        end(2, str(error))
    except (MemoryError, RuntimeError, OSError, ImportError) as error:
        if debug:
            raise
        if is_out_of_memory(error):
            end(2, "not enough memory: ask for fewer planes or a smaller size, or close other programs")
        if not isinstance(error, OSError) or error.errno not in NO_ROOM:
            raise
        drop_output()  # it may be what is full
        end(2, f"cannot write {error.filename or 'the output'} ({error.strerror}): make room, or choose another disk")
    except Stopped as stop:
        end(128 + stop.number, f"stopped by {Signals(stop.number).name}")
    except KeyboardInterrupt:
        end(130)


def answer(arguments: list[str]) -> None:
    """Prints what options of `mine` itself ask for, or runs a command.

    Args:
        arguments: What follows `mine`, without --debug.

    Raises:
        InputError: As `run`.
    """
    if len(arguments) > 1 and arguments[0] == "help":  # `mine help render`
        arguments = [arguments[1], "--help"]
    if arguments == [] or (len(arguments) == 1 and arguments[0] in HELP):
        print(overview())
    elif len(arguments) == 1 and arguments[0] in VERSION:
        print(f"mine {__version__}")
    else:
        run(*arguments)


def overview() -> str:
    """The text of `mine --help`: all commands, each with its line of help."""
    commands = {name: command.help for name, command in COMMANDS.items()}
    texts = [*commands.items(), ("", ""), *GENERAL.items()]
    lines = [fill(f"  {name:11}{text}", 80, subsequent_indent=13 * " ") for name, text in texts]
    return "\n".join([USAGE, "", *lines])


def run(name: str, *arguments: str) -> None:
    """Runs one command.

    Args:
        name: Name of the command.
        arguments: Its arguments and options, as strings; they are parsed by the function's signature.

    Raises:
        InputError: For an unknown command, and whatever the command finds wrong with its input.
    """
    if name not in COMMANDS:
        close = get_close_matches(name, COMMANDS, 1)
        hint = f"did you mean {close[0]}? Commands are" if close else "choose one of"
        raise InputError(f"unknown command {name!r}: {hint} {', '.join(COMMANDS)}")
    try:
        os.getcwd()
    except OSError as error:
        raise InputError(f"the working folder is gone ({error.strerror}): change to another, with cd") from error
    from mine.cli.parse import parse  # imported on use: `mine --help` need not wait for tyro

    command = COMMANDS[name]
    module, function = command.function.split(":")
    parse(name, getattr(import_module(module), function), _about(command), arguments)()


def _show_warning(message: Warning | str, category: type[Warning], filename: str, lineno: int, *rest: object) -> None:
    """Tells a warning on standard error: what concerns the input in one line, as errors are."""
    own = issubclass(category, InputWarning)
    print(f"mine: {message}" if own else warnings.formatwarning(message, category, filename, lineno), file=sys.stderr)


def _about(command: Command) -> str:
    """What `mine COMMAND --help` says above the options."""
    debug = "Add --debug to see where in the program a command failed, for bug reports."
    return "\n".join([command.help, "", "Examples:", *(f"  {line}" for line in command.examples), "", debug])
