"""YAML files of configurations: reading them, overriding values, and naming what is wrong in them."""

import re
import types
import typing
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from mine.data.registry import Source, registry
from mine.errors import InputError

TYPES = {"int": "int", "float": "float", "bool": "bool", "string": "str", "tuple": "a list"}
"""What to give instead, by the first word of pydantic's error type ("int_type", ...)."""


class _Loader(yaml.SafeLoader):
    """YAML 1.1, except that 1e-3 is a number as in YAML 1.2, not text."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


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
    try:
        tree = _parse(path.read_text()) or {}
        for override in overrides:
            _override(tree, override)
    except FileNotFoundError as error:
        raise InputError(f"no configuration at {path}: see the YAML files in configs/") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not valid YAML: {error}".replace("\n", " ")) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}): give a YAML file such as those in configs/") from error
    return _text_keys(tree)


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
            return f"{section} is {value!r}: give {len(typing.get_args(hint))} values"
        case "too_long":
            return f"{place} is {value!r}: give {first['ctx']['max_length']} values"
        case "dataclass_type" | "dict_type":
            return f"{place or 'the configuration'} must be a section of keys, not {value!r}"
    return f"{place} is {value!r}: give {TYPES.get(what.split('_')[0], first['msg'])}"


def _parse(text: str) -> Any:
    return yaml.load(text, _Loader)


def _override(tree: Any, override: str) -> None:
    key, separator, value = override.partition("=")
    if not separator:
        raise InputError(f"{override!r} is not key=value")
    *sections, last = key.split(".")
    for section in sections:
        tree = tree.setdefault(section, {}) if isinstance(tree, dict) else tree[_index(tree, section, key)]
    if isinstance(tree, dict):
        tree[last] = _parse(value)
    else:
        tree[_index(tree, last, key)] = _parse(value)


def _index(entries: Any, text: str, key: str) -> int:
    """Which entry of a list a part of a key names."""
    if not isinstance(entries, list):
        raise InputError(f"cannot set {key!r}: what it belongs to is {entries!r}, not a section of keys")
    if not text.isdecimal() or int(text) >= len(entries):
        raise InputError(f"cannot set {key!r}: give the number of an entry, 0 to {len(entries) - 1}, not {text!r}")
    return int(text)


def _text_keys(tree: Any) -> Any:
    """The tree with text for keys, as JSON has it."""
    if isinstance(tree, dict):
        return {str(key): _text_keys(value) for key, value in tree.items()}
    return [_text_keys(value) for value in tree] if isinstance(tree, list) else tree


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
