"""The command line's entry. Only commands wait for their parser: the list of them is read out of their source."""

import ast
import sys
from pathlib import Path
from textwrap import fill

from mine.errors import InputError

USAGE = "usage: mine COMMAND ...      mine COMMAND --help says more"


def overview() -> str:
    """All commands, each with the first line of its docstring."""
    tree = ast.parse(Path(__file__).with_name("commands.py").read_text(encoding="utf-8"))
    commands = [(_name(node), node) for node in tree.body if isinstance(node, ast.FunctionDef)]
    lines = [_entry(name, (ast.get_docstring(node) or "").split("\n")[0]) for name, node in commands if name]
    return "\n".join([USAGE, "", *lines])


def _name(function: ast.FunctionDef) -> str | None:
    """The name that `@app.command` or `@app.command(name=...)` gives; None for what is no command."""
    for decorator in function.decorator_list:
        if isinstance(decorator, ast.Call):
            return next(ast.literal_eval(given.value) for given in decorator.keywords if given.arg == "name")
        return function.name
    return None


def _entry(name: str, text: str) -> str:
    return fill(f"  {name:10}{text}", 80, subsequent_indent=12 * " ")


def main() -> None:
    """Runs the command line. Bad input ends it with one line and exit status 2; `--debug` shows where it arose."""
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    if arguments in ([], ["-h"], ["--help"]):
        print(overview())
        return
    from mine.cli.commands import app

    try:
        app.cli(args=arguments, prog="mine")
    except InputError as error:
        if debug:
            raise
        print(f"mine: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
