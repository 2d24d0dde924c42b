"""Parsing of a command's arguments: by tyro, whose own reports of mistakes fill a screen, with reports of one line."""

import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass, is_dataclass
from difflib import get_close_matches
from functools import partial, wraps
from io import StringIO
from typing import Any, Literal, get_args, get_origin, get_type_hints

import tyro
from tyro.conf import Positional

from mine.cli.options import RefusedError
from mine.errors import InputError

CONTINUED = re.compile(r"\n {12}(?=\S)")
"""Where the description of an argument goes on in the next line of a docstring."""

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

    # tyro would show descriptions with the line breaks that the source has. It looks for them behind __wrapped__.
    bind.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    bind.__doc__ = CONTINUED.sub(" ", function.__doc__ or "")
    del bind.__wrapped__
    if "" in words:
        raise InputError(f"an argument is empty: give a name or a value; see mine {name} --help")
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
    optional: frozenset[str]
    """options whose value may be left out"""
    choices: dict[str, tuple[str, ...]]
    """by option, the values that it can have, where these are few"""
    required: dict[str, str]
    """of the arguments and options that must be given: parameter's name, and what to give, such as "-o FILE" """

    @classmethod
    def of(cls, function: Callable[..., None]) -> "Options":
        """The options that a function's parameters stand for."""
        positional: dict[str, bool] = {}
        names: dict[str, str] = {}
        flags: set[str] = set()
        optional: set[str] = set()
        choices: dict[str, tuple[str, ...]] = {}
        required: dict[str, str] = {}
        for name, parameter, kind, metadata in _parameters(function):
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
                if get_origin(kind) is Literal:
                    choices[option] = get_args(kind)
                if any(getattr(entry, "nargs", 1) == "*" for entry in metadata):
                    optional.add(option)
            if parameter.default is inspect.Parameter.empty:
                required[name] = meaning if is_positional else f"{(*aliases, option)[0]} {meaning}"
        return cls(positional, names, frozenset(flags), frozenset(optional), choices, required)


def _parameters(function: Callable[..., Any]) -> Iterator[tuple[str, inspect.Parameter, Any, tuple[Any, ...]]]:
    """Name, parameter, type and metadata of each; of a group of options, a dataclass, those of its fields."""
    hints = get_type_hints(function, include_extras=True)
    for name, parameter in inspect.signature(function).parameters.items():
        kind, metadata = getattr(hints[name], "__origin__", hints[name]), getattr(hints[name], "__metadata__", ())
        if isinstance(kind, type) and is_dataclass(kind):
            yield from _parameters(kind)
        else:
            yield name, parameter, kind, metadata


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
            return _unknown(word, option, rest, options)
        given.add(options.names[option])
        wrong = _wrong_value(option, value if equals else None, rest, len(arguments), options)
        if wrong:
            return wrong
    return _too_many(options, arguments) or _missing(options, given, len(arguments))


def _wrong_value(option: str, value: str | None, rest: list[str], arguments: int, options: Options) -> str | None:
    """What is wrong with an option's value, None if nothing is; a value that is a word of its own is taken off `rest`.

    Args:
        option: The option.
        value: What is behind its =, None without one.
        rest: The words behind it.
        arguments: How many arguments came before it.
        options: What the command takes.
    """
    after = rest[0] if rest and not _is_option(rest[0]) else None
    if option in options.flags:
        extra = value if value is not None else after if arguments >= len(options.positional) else None
        return None if extra is None else f"{option} takes no value, and {extra} is given: leave that out"
    if value is None and after is None:
        return None if option in options.optional else _without_value(option, rest[0] if rest else None, options)
    value = rest.pop(0) if value is None else value
    if option in options.choices and value not in options.choices[option]:
        return f"{option} {value} is not possible: choose {', '.join(options.choices[option])}"
    return None


def _is_option(word: str) -> bool:
    """Whether a word counts as an option."""
    return len(word) > 1 and word[0] == "-" and not NUMBER.match(word)


def _unknown(word: str, option: str, rest: list[str], options: Options) -> str:
    """What is said of a word that is taken for an option that there is not; `rest` are the words behind it."""
    close = get_close_matches(option, options.names, 1, cutoff=0.7)
    if word.startswith("--") and not close and any("KEY=VALUE" in meaning for meaning in options.positional):
        name, equals, value = word[2:].partition("=")
        value = value if equals else rest[0] if rest and not _is_option(rest[0]) else "VALUE"
        return f"there is no option {option}: settings of CONFIG are given as {name.replace('-', '_')}={value}"
    if "." in word and "=" not in word:
        return f"there is no option {word}: a file of that name is given as ./{word}"
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
