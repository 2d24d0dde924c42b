"""What is wrong with a configuration, in one line: what pydantic found, in terms of the YAML file."""

import types
import typing
from dataclasses import fields, is_dataclass
from typing import Any

from pydantic import ValidationError

from mine.data.registry import DATA_SETS
from mine.data.sources import Source
from mine.errors import choose
from mine.inputs.files import shown

TYPES = {"int": "a whole number", "float": "a number", "bool": "true or false", "string": "text", "tuple": "a list"}
"""What to give instead, by the first word of pydantic's error type ("int_type", ...)."""


def explain(error: ValidationError, kind: type) -> str:
    """The first mistake that pydantic found in a configuration, in one line.

    Args:
        error: What pydantic raised.
        kind: The configuration's class.
    """
    errors = error.errors(include_url=False)
    # A misspelled key is reported before the key that is missing because of it.
    first = next((one for one in errors if one["type"] == "unexpected_keyword_argument"), errors[0])
    place, hint = _follow(kind, first["loc"])
    section, _, last = place.rpartition(".")
    value, what = first["input"], first["type"]
    match what:
        case "unexpected_keyword_argument":
            return f"unknown configuration key {place!r}: {choose(last, sorted(_names(hint)), 'known here are')}"
        case "missing" if not last.isdigit():
            return f"configuration key {place!r} is missing"
        case "union_tag_not_found":
            return f"configuration key '{place}.kind' is missing: choose {', '.join(DATA_SETS)}"
        case "union_tag_invalid":
            return f"{place}.kind is {shown(value['kind'])}: {choose(value['kind'], DATA_SETS)}"
        case "missing":
            return f"{section} is {shown(value)}: give {len(typing.get_args(hint))} values"
        case "too_long":
            return f"{place} is {shown(value)}: give {first['ctx']['max_length']} values"
        case "dataclass_type" | "dict_type":
            return f"{place or 'the configuration'} must be a section of keys, not {shown(value)}"
    return f"{place or 'the configuration'} is {shown(value)}: give {TYPES.get(what.split('_')[0], first['msg'])}"


def _follow(hint: Any, location: tuple[int | str, ...]) -> tuple[str, Any]:
    """The dotted name of a place in a configuration, and the type of the section or list that it lies in."""
    names: list[str] = []
    section = hint
    for key in location:
        section = hint
        if isinstance(key, int):
            hint = typing.get_args(hint)[0]
        elif hint is Source:
            hint = DATA_SETS[key].options  # pydantic names the kind before the key, which no configuration does
            continue
        else:
            hint = typing.get_type_hints(hint).get(key)
        names.append(str(key))
        if isinstance(hint, types.UnionType):
            hint = typing.get_args(hint)[0]
    return ".".join(names), section


def _names(section: Any) -> list[str]:
    return [field.name for field in fields(section)] if is_dataclass(section) else []
