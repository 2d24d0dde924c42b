"""YAML files of configurations: reading them, overriding values, and naming what is wrong in them."""

import types
import typing
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mine.data.registry import Source, registry
from mine.errors import InputError
from mine.inputs.files import shorten, shown
from mine.inputs.yaml_file import parse_yaml, read_yaml

TYPES = {"int": "a whole number", "float": "a number", "bool": "true or false", "string": "text", "tuple": "a list"}
"""What to give instead, by the first word of pydantic's error type ("int_type", ...)."""


def read_tree(path: Path, overrides: list[str]) -> Any:
    """Reads a YAML file and applies overrides.

    Args:
        path: The file.
        overrides: Assignments "key=value"; dots in a key reach into sections ("a.b=1") and lists ("data.0.count=1").

    Returns:
        Dictionaries, lists and plain values; an empty dictionary for an empty file.

    Raises:
        InputError: If the file cannot be read, is not YAML, or an override does not fit it.
    """
    tree = read_yaml(path, "configuration", "give a YAML file such as those in configs/")
    for override in overrides:
        _override(tree, override)
    return tree


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
            return f"unknown configuration key {place!r}: known here are {', '.join(sorted(_names(hint)))}"
        case "missing" if not last.isdigit():
            return f"configuration key {place!r} is missing"
        case "union_tag_not_found":
            return f"configuration key '{place}.kind' is missing: choose {', '.join(registry())}"
        case "union_tag_invalid":
            return f"{place}.kind is {value['kind']!r}: choose {', '.join(registry())}"
        case "missing":
            return f"{section} is {shown(value)}: give {len(typing.get_args(hint))} values"
        case "too_long":
            return f"{place} is {shown(value)}: give {first['ctx']['max_length']} values"
        case "dataclass_type" | "dict_type":
            return f"{place or 'the configuration'} must be a section of keys, not {shown(value)}"
    return f"{place or 'the configuration'} is {shown(value)}: give {TYPES.get(what.split('_')[0], first['msg'])}"


def _override(tree: Any, override: str) -> None:
    key, separator, value = override.partition("=")
    if not separator:
        raise InputError(f"{override!r} is not key=value")
    *sections, last = key.split(".")
    parsed = parse_yaml(value, shorten(override), "give a plain value after the =")
    for section in sections:
        tree = tree.setdefault(section, {}) if isinstance(tree, dict) else tree[_index(tree, section, key)]
    if isinstance(tree, dict):
        tree[last] = parsed
    else:
        tree[_index(tree, last, key)] = parsed


def _index(entries: Any, text: str, key: str) -> int:
    """Which entry of a list a part of a key names."""
    if not isinstance(entries, list):
        raise InputError(f"cannot set {key!r}: what it belongs to is {shown(entries)}, not a section of keys")
    if not text.isdecimal() or int(text) >= len(entries):
        raise InputError(f"cannot set {key!r}: give the number of an entry, 0 to {len(entries) - 1}, not {text!r}")
    return int(text)


def _follow(hint: Any, location: tuple[int | str, ...]) -> tuple[str, Any]:
    """The dotted name of a place in a configuration, and the type of the section or list that it lies in."""
    names: list[str] = []
    section = hint
    for key in location:
        section = hint
        if isinstance(key, int):
            hint = typing.get_args(hint)[0]
        elif hint is Source:
            hint = registry()[key].options  # pydantic names the kind before the key, which no configuration does
            continue
        else:
            hint = typing.get_type_hints(hint).get(key)
        names.append(str(key))
        if isinstance(hint, types.UnionType):
            hint = typing.get_args(hint)[0]
    return ".".join(names), section


def _names(section: Any) -> list[str]:
    return [field.name for field in fields(section)] if is_dataclass(section) else []
