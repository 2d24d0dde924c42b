"""Reading of YAML: plain values alone, no tags or references, no deeper than a person writes; and its overrides."""

import re
from pathlib import Path
from typing import Any

import yaml

from mine.errors import InputError
from mine.inputs.files import open_input, parsing, shorten, shown
from mine.inputs.numbers import whole_number

MAX_BYTES = 1 << 16
"""Most bytes of a file: ours have 2 kB, and YAML's parser takes a second for what is allowed."""

MAX_DEPTH = 32
"""Deepest nesting of sections and lists."""

MAX_NUMBER = 1 << 63
"""Whole numbers are smaller than this, as in JSON's readers."""


class _Loader(yaml.SafeLoader):
    """YAML 1.1, except that 1e-3 is a number as in YAML 1.2, not text, and that dates are text."""

    yaml_implicit_resolvers = {  # noqa: RUF012 (as PyYAML declares it)
        first: [entry for entry in entries if entry[0] != "tag:yaml.org,2002:timestamp"]
        for first, entries in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The values by key. Raises an exception for a key that is given twice, of which PyYAML takes the last."""
        keys: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in keys:
                raise ValueError(f"line {key.start_mark.line + 1} gives {key.value} again: leave one of them out")
            keys.add(str(key.value))
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def read_yaml(path: Path, what: str, remedy: str) -> Any:
    """Reads a YAML file.

    Args:
        path: The file.
        what: What it is, for messages, such as "configuration".
        remedy: What to do when it cannot be read.

    Returns:
        Dictionaries with text for keys, lists and plain values; an empty dictionary for an empty file.

    Raises:
        InputError: The file cannot be read or is not such YAML.
    """
    with open_input(path, what, remedy, MAX_BYTES) as file, parsing(f"{path} is not readable YAML", remedy):
        text = file.read().decode("utf-8-sig")
    return parse_yaml(text, str(path), remedy) or {}


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


def parse_yaml(text: str, name: str, remedy: str) -> Any:
    """Parses YAML; `name` is what the text is called in messages. Returns and errors as for `read_yaml`."""
    with parsing(f"{name} is not readable YAML", remedy):
        try:
            _check_events(text)
            tree = yaml.load(text, _Loader)
        except yaml.MarkedYAMLError as error:  # in several lines, the first of which says little
            line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
            hint = "; indent by spaces" if "'\\t'" in (error.problem or "") else ""
            raise ValueError(f"{line}{error.problem or error.context}{hint}") from error
    return _plain(tree, name)


def _check_events(text: str) -> None:
    """Raises an exception for references, which can unfold to any size, for tags, and for deep nesting."""
    depth = 0
    for event in yaml.parse(text, _Loader):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError(f"line {event.start_mark.line + 1} refers to *{event.anchor}: write the value itself")
        if getattr(event, "tag", None) is not None:
            raise ValueError(f"line {event.start_mark.line + 1} has the tag {event.tag}: leave it out")
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            depth += 1
        if isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            depth -= 1
        if depth > MAX_DEPTH:
            raise ValueError(f"line {event.start_mark.line + 1} is nested deeper than {MAX_DEPTH} levels")


def _plain(tree: Any, name: str) -> Any:
    """The tree with text for keys, as JSON has it, and numbers that JSON can hold."""
    if isinstance(tree, dict):
        return {str(_plain(key, name)): _plain(value, name) for key, value in tree.items()}
    if isinstance(tree, int) and abs(tree) >= MAX_NUMBER:
        raise InputError(f"{name} has a number of {tree.bit_length()} bits: give at most 63")
    return [_plain(value, name) for value in tree] if isinstance(tree, list) else tree


def _override(tree: Any, override: str) -> None:
    key, separator, value = override.partition("=")
    if not separator:
        raise InputError(f"{override!r} is not of the form key=value: give {override}=VALUE")
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
        raise InputError(f"cannot set {shown(key)}: what it belongs to is {shown(entries)}, not a section of keys")
    number = whole_number(text)
    if number is None or number >= len(entries):
        expected = f"the number of an entry, 0 to {len(entries) - 1}"
        raise InputError(f"cannot set {shown(key)}: give {expected}, not {shown(text)}")
    return number
