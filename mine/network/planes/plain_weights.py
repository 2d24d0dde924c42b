"""The file of a published checkpoint: a pickle of torch that names nothing but weights.

torch executes nothing in such a file, but it makes buffers, sparse tensors and sets as large as the file asks for.
"""

import os
import pickletools
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import torch

from mine.errors import InputError
from mine.inputs.files import open_input, parsing, shorten

MAX_BYTES = 1 << 31
"""Most bytes of a file: the published ones have 200 MB."""

MAX_PICKLE = 1 << 19
"""Most bytes of a pickle: tensors' values lie beside it, and what remains are their names and shapes."""

NAMED = {"collections OrderedDict", "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter"}
NAMED |= {f"torch {kind}Storage" for kind in ("Double", "Float", "Half", "BFloat16", "Long", "Int", "Short", "Char")}
NAMED |= {"torch ByteStorage", "torch BoolStorage"}
"""All that a pickle of weights names."""

MAX_SHARED = 16
"""Most uses of tuples that were used before: each doubles the time to hash what they are part of. torch has none."""

_REFUSED = {
    "STACK_GLOBAL",
    "DUP",
    "MEMOIZE",
    "INST",
    "OBJ",
    "NEWOBJ",
    "NEWOBJ_EX",
    "EXT1",
    "EXT2",
    "EXT4",
    "BYTEARRAY8",
}
"""Operations that name things in other ways, or make buffers; torch writes none of them."""

LEGACY_PICKLES = 5
"""Pickles in a row in a file of torch before 1.6: magic number, version, system, weights, storages."""


def read_plain_weights(path: Path) -> Any:
    """Reads a pickle of torch.

    Args:
        path: The file.

    Returns:
        What was saved: nothing but dictionaries, lists, plain values and tensors on the CPU.

    Raises:
        InputError: The file is missing, damaged, or holds other things.
    """
    with open_input(path, "checkpoint", "check the path", MAX_BYTES) as file:
        try:
            with parsing("it cannot be read", "download it again"):
                check_pickles(file)
                file.seek(0)
                return torch.load(file, weights_only=True, map_location="cpu")
        except InputError as error:
            raise InputError(f"{path} is not a readable checkpoint: {error}") from error


def check_pickles(file: BinaryIO) -> None:
    """Raises an exception for a file of torch that names anything but weights, or unfolds to more bytes."""
    if file.read(4) != b"PK\3\4":
        file.seek(0)
        for _ in range(LEGACY_PICKLES):
            _check_pickle(file)
        return
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise InputError("its archive is compressed, which torch never does: save it again with torch.save")
        if sum(entry.file_size for entry in entries) > os.fstat(file.fileno()).st_size:
            raise InputError("its archive holds more than the file: save it again with torch.save")
        for entry in entries:
            if entry.filename.endswith(".pkl"):
                with archive.open(entry) as stream:
                    _check_pickle(stream)


def _check_pickle(stream: Any) -> None:
    """Raises an exception for a pickle that is too long, names anything but weights or takes for ever to hash."""
    start, last, shared = stream.tell(), "", 0
    tuples: set[int] = set()
    for operation, argument, position in pickletools.genops(stream):
        name = operation.name
        if name in _REFUSED or (name == "GLOBAL" and argument not in NAMED):
            raise InputError(
                f"it holds more than weights ({shorten(str(argument)) if name == 'GLOBAL' else name}), which could run "
                "code and is never read: save its backbone and decoder alone, where it was made"
            )
        if position is not None and position - start > MAX_PICKLE:
            raise ValueError(f"its pickle is longer than {MAX_PICKLE} bytes")
        if name.endswith("PUT") and isinstance(argument, int):
            (tuples.add if last.startswith("TUPLE") else tuples.discard)(argument)
        shared += name.endswith("GET") and argument in tuples
        if shared > MAX_SHARED:
            raise ValueError("it nests tuples in themselves")
        last = name
