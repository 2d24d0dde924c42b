"""Reading of YAML: plain values alone, with neither tags nor references, and no deeper than a person writes."""

import re
from pathlib import Path
from typing import Any

import yaml

from mine.errors import InputError
from mine.inputs.files import open_input, parsing

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


def parse_yaml(text: str, name: str, remedy: str) -> Any:
    """Parses YAML; `name` is what the text is called in messages. Returns and errors as for `read_yaml`."""
    with parsing(f"{name} is not readable YAML", remedy):
        _check_events(text)
        tree = yaml.load(text, _Loader)
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
        return {str(key): _plain(value, name) for key, value in tree.items()}
    if isinstance(tree, int) and abs(tree) >= MAX_NUMBER:
        raise InputError(f"{name} has a number of {tree.bit_length()} bits: give at most 63")
    return [_plain(value, name) for value in tree] if isinstance(tree, list) else tree
