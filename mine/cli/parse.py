"""Parsing of a command's arguments: by tyro, whose own reports of mistakes fill a screen, with reports of one line."""

import inspect
import re
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial, wraps
from io import StringIO
from typing import Any, get_args, get_type_hints

import tyro
from tyro.conf import Positional

from mine.cli.options import RefusedError
from mine.errors import InputError

NUMBER = re.compile(r"-(\d|\.\d|inf|nan)")
"""What begins with a dash and is no option."""


def parse(name: str, function: Callable[..., None], description: str, words: Sequence[str]) -> Callable[[], None]:
    """Parses a command's arguments; prints its help and ends the program where they ask for that.

    Args:
        name: Name of the command.
        function: What runs it; its parameters are the arguments and options.
        description: What help says above the options.
        words: What follows the command's name.

    Returns:
        The call of the function.

    Raises:
        InputError: The words are not what the function takes.
    """

    @wraps(function)
    def bind(*args: Any, **kwargs: Any) -> Callable[[], None]:
        return partial(function, *args, **kwargs)

    report = StringIO()
    try:
        with redirect_stderr(report):
            call: Callable[[], None] = tyro.cli(bind, prog=f"mine {name}", description=description, args=words)
    except RefusedError as refused:
        raise refused.error from None
    except SystemExit as end:
        if not end.code:
            raise
        told = _mistake(Options.of(function), words) or _first_lines(report.getvalue())
        raise InputError(f"{told}; see mine {name} --help") from None
    return call


@dataclass(frozen=True)
class Options:
    """What a command takes."""

    positional: dict[str, bool]
    """By the name of each argument, such as PHOTO, whether it takes any number of words"""
    names: dict[str, str]
    """parameter's name by option, such as --output and -o"""
    flags: frozenset[str]
    """options without a value"""
    required: dict[str, str]
    """of the arguments and options that must be given: parameter's name, and what to give, such as "-o FILE" """

    @classmethod
    def of(cls, function: Callable[..., None]) -> "Options":
        """The options that a function's parameters stand for."""
        hints = get_type_hints(function, include_extras=True)
        positional: dict[str, bool] = {}
        names: dict[str, str] = {}
        flags: set[str] = set()
        required: dict[str, str] = {}
        for name, parameter in inspect.signature(function).parameters.items():
            kind, metadata = getattr(hints[name], "__origin__", hints[name]), getattr(hints[name], "__metadata__", ())
            meaning = next((entry.metavar for entry in metadata if getattr(entry, "metavar", None)), name.upper())
            aliases = next((entry.aliases for entry in metadata if getattr(entry, "aliases", None)), ())
            option = f"--{name.replace('_', '-')}"
            if is_positional := get_args(Positional[int])[1] in metadata:
                positional[meaning] = getattr(kind, "__origin__", kind) is tuple
            elif kind is bool:
                flags |= {option, f"--no-{option[2:]}"}
                names |= dict.fromkeys((option, f"--no-{option[2:]}"), name)
            else:
                names |= dict.fromkeys((option, *aliases), name)
            if parameter.default is inspect.Parameter.empty:
                required[name] = meaning if is_positional else f"{(*aliases, option)[0]} {meaning}"
        return cls(positional, names, frozenset(flags), required)


def _mistake(options: Options, words: Sequence[str]) -> str | None:
    """What is wrong with a command's words, None if it is nothing of the kinds looked for."""
    given: set[str] = set()
    arguments: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            arguments += rest
            break
        if not _is_option(word):
            arguments.append(word)
            continue
        option, equals, value = word.partition("=")
        option = option.replace("_", "-")
        if option not in options.names:
            return _unknown(word, option, options)
        given.add(options.names[option])
        if option in options.flags:
            value = value if equals else (rest or [""])[0]
            if equals or (len(arguments) >= len(options.positional) and value and not _is_option(value)):
                return f"{option} takes no value, and {value} is given: leave that out"
        elif not equals:
            if not rest or _is_option(rest[0]):
                return _without_value(option, rest[0] if rest else None, options)
            rest.pop(0)
    return _too_many(options, arguments) or _missing(options, given, len(arguments))


def _is_option(word: str) -> bool:
    """Whether a word counts as an option."""
    return len(word) > 1 and word[0] == "-" and not NUMBER.match(word)


def _unknown(word: str, option: str, options: Options) -> str:
    """What is said of a word that is taken for an option that there is not."""
    if "." in word and "=" not in word:
        return f"there is no option {word}: a file of that name is given as ./{word}"
    close = get_close_matches(option, options.names, 1, cutoff=0.6)
    return f"there is no option {option}: " + (f"did you mean {close[0]}?" if close else "leave it out")


def _without_value(option: str, next_word: str | None, options: Options) -> str:
    """What is said of an option whose value is missing."""
    if next_word is None or next_word.partition("=")[0] in options.names:
        return f"{option} needs a value: give it right after {option}"
    spelt = f"{option}={next_word}" if option.startswith("--") else f"{option} ./{next_word}"
    return f"{option} needs a value, and {next_word} is taken for an option: give {spelt}"


def _too_many(options: Options, arguments: list[str]) -> str | None:
    """What is said of more arguments than a command takes, None if there are not."""
    if any(options.positional.values()) or len(arguments) <= len(options.positional):
        return None
    extra, taken = arguments[len(options.positional)], " and ".join(options.positional)
    reason = f"{taken} is {arguments[0]} already; quote names with spaces" if taken else "nothing but options is taken"
    return f"{extra} is one argument too many: {reason}"


def _missing(options: Options, given: set[str], arguments: int) -> str | None:
    """What is said of what must be given and is not, None if all is."""
    wanted = list(options.positional)[arguments:]
    required = options.required.items()
    missing = [what for name, what in required if what in wanted or (what.startswith("-") and name not in given)]
    return f"{' and '.join(missing)} must be given" if missing else None


def _first_lines(report: str) -> str:
    """The message in a box of tyro's, as one line."""
    lines = [line.strip("│╭╮╰╯─ ") for line in re.sub(r"\x1b\[[0-9;]*m", "", report).splitlines()]
    return " ".join(line for line in lines if line and "help" not in line)
