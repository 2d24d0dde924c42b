"""Files of tensors, told by their contents, and what files that are taken for such are instead."""

from pathlib import Path
from typing import Literal

from safetensors import safe_open

from mine.errors import InputError
from mine.inputs.files import open_input, parsing
from mine.inputs.kinds import FORMATS, not_the_file
from mine.inputs.names import utf8_name

Format = Literal["safetensors", "torch"]

HEAD = 512
"""Bytes at the beginning of a file that are looked at."""

LONGEST_HEADER = 1 << 22
"""Most bytes of a header of safetensors, in which each tensor has some hundred: ours have up to 0.1 MB."""

MAX_LENGTH = 100_000_000
"""Most bytes of a header in the specification of safetensors: what begins with more is of no such file."""

_PICTURES = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF", b"II*\0", b"MM\0*", b"BM")


def tensor_format(path: str | Path, what: str, remedy: str) -> Format:
    """The format of a file of tensors, whatever its name is.

    Args:
        path: The file.
        what: What it should hold, such as "checkpoint", for messages.
        remedy: What to do when it holds something else.

    Raises:
        InputError: It is missing, no regular file, or something else, such as a web page.
    """
    with open_input(path, what, remedy) as file:
        head = file.read(HEAD)
    length = int.from_bytes(head[:8], "little")
    if head[8:9] == b"{" and length <= MAX_LENGTH:
        if length > LONGEST_HEADER:
            raise InputError(f"{path} has a header of {length} bytes, more than {LONGEST_HEADER}: {remedy}")
        return "safetensors"
    if head.startswith((b"PK\3\4", b"\x80")):
        return "torch"
    raise InputError(f"{path} is not a readable {what}: {_instead(head, remedy)}")


def check_header(path: str | Path, what: str, remedy: str) -> dict[str, str]:
    """Checks the header of a safetensors file of ours; no tensor is read.

    Args:
        path: The file, of the format "safetensors".
        what: What it should hold, a key of `FORMATS`.
        remedy: What to do when it holds something else.

    Returns:
        Its metadata.

    Raises:
        InputError: It is cut short or damaged, or holds something else.
    """
    with (
        parsing(f"{path} is not a readable {what}", remedy),
        utf8_name(path) as name,
        safe_open(name, framework="np") as file,
    ):
        metadata = dict(file.metadata() or {})
    found = metadata.get("format")
    if found != FORMATS[what]:
        other = next((name for name, format_name in FORMATS.items() if format_name == found), None)
        told = f"it is a {other} of MINE" if other else f"it is not of format {FORMATS[what]}"
        raise InputError(f"{path} is not a {what}: {told}; {remedy}")
    return metadata


def _instead(head: bytes, remedy: str) -> str:
    """What a file is that begins with these bytes and is none of tensors, and what to do."""
    told = not_the_file(head, remedy)
    if told:
        return f"it {told}"
    if head.startswith(_PICTURES) or head[4:8] == b"ftyp":
        return f"it is a picture or a video: {remedy}"
    if head.isascii() and not any(byte < 9 for byte in head):
        return f"it is text: {remedy}"
    return f"it is neither in safetensors' format nor in torch's, or damaged: {remedy}"
