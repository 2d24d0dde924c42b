"""The file of a published checkpoint: a pickle of torch that names nothing but weights.

torch executes nothing in such a file, but it makes buffers, sparse tensors and sets as large as the file asks for.
"""

import io
import os
import pickletools
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from mine.errors import InputError
from mine.inputs.files import open_input, parsing, shorten

MAX_BYTES = 1 << 31
"""Most bytes of a file: the published ones have 200 MB."""

MAX_PICKLE = 1 << 19
"""Most bytes of a pickle: tensors' values lie beside it, and what remains are their names and shapes."""

MAX_DIRECTORY = 1 << 20
"""Most bytes of an archive's list of its entries, in which each has some hundred."""

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

PARTS = {"backbone", "decoder"}
"""Keys of a published checkpoint."""

PROTOCOL = 2
"""Newest protocol of pickles that torch.save makes."""

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
    import torch  # imported on use: the check takes no second

    with _opened(path) as file:
        file.seek(0)
        return torch.load(file, weights_only=True, map_location="cpu")


def check_plain_weights(path: Path) -> None:
    """Checks, without torch, that a file is a pickle of torch with the parts of a published checkpoint.

    Args:
        path: The file.

    Raises:
        InputError: The file is missing, damaged, or holds other things.
    """
    with _opened(path):
        pass


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """A checked file, in a context where what is wrong with it is told of the file."""
    with open_input(path, "checkpoint", "check the path", MAX_BYTES) as file:
        try:
            with parsing("it cannot be read", "download it again"):
                if not check_pickles(file) >= PARTS:
                    raise InputError('it lacks "backbone" and "decoder": this is not a published MINE checkpoint')
                yield file
        except InputError as error:
            raise InputError(f"{path} is not a readable checkpoint: {error}") from error


def check_pickles(file: BinaryIO) -> set[str]:
    """Checks a file of torch.

    Returns:
        The texts in it, among them the keys of dictionaries.

    Raises:
        Exception: Of any class, for a file that names anything but weights, unfolds to more bytes, or is damaged.
    """
    if file.read(4) != b"PK\3\4":
        file.seek(0)
        return set[str]().union(*(_check_pickle(file) for _ in range(LEGACY_PICKLES)))
    texts: set[str] = set()
    _check_directory(file)
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise InputError("its archive is compressed, which torch never does: save it again with torch.save")
        if sum(entry.file_size for entry in entries) > os.fstat(file.fileno()).st_size:
            raise InputError("its archive holds more than the file: save it again with torch.save")
        pickles = [entry for entry in entries if entry.filename.endswith(".pkl")]
        if not pickles:
            raise InputError("it is an archive of other files: unpack it, and give the checkpoint that was in it")
        if any(entry.file_size > MAX_PICKLE for entry in pickles):
            raise _too_long()
        for entry in pickles:
            with archive.open(entry) as stream:
                texts |= _check_pickle(stream)
    return texts


def _check_directory(file: BinaryIO) -> None:
    """Raises InputError for an archive of too many entries, all of which zipfile reads when it opens it."""
    end = zipfile._EndRecData(file)  # type: ignore[attr-defined]
    if end is not None and end[zipfile._ECD_SIZE] > MAX_DIRECTORY:  # type: ignore[attr-defined]
        raise InputError("its archive has more entries than weights: save its backbone and decoder by torch.save")


def _too_long() -> InputError:
    return InputError(f"its pickle is longer than {MAX_PICKLE} bytes: save its backbone and decoder alone")


def _operations(stream: io.BytesIO) -> Iterator[tuple[Any, Any, int | None]]:
    """The operations of a pickle. Raises InputError where it goes on behind the end of the stream."""
    try:
        yield from pickletools.genops(stream)
    except Exception as error:
        if stream.tell() > MAX_PICKLE:
            raise _too_long() from error
        raise


def _check_pickle(file: Any) -> set[str]:
    """The texts in a pickle, behind which the file is then.

    Raises:
        Exception: It is too long, names other things or takes for ever to hash.
    """
    start, last, shared = file.tell(), "", 0
    # No more is read: an operation tells how long its argument is, and it would be taken from the file first.
    stream = io.BytesIO(file.read(MAX_PICKLE + 1))
    tuples: set[int] = set()
    texts: set[str] = set()
    for operation, argument, _ in _operations(stream):
        name = operation.name
        if name == "PROTO" and argument is not None and argument > PROTOCOL:
            raise InputError(
                f"it is a pickle of protocol {argument}, which torch.save does not make: save its backbone and decoder "
                "by torch.save, where it was made"
            )
        if name.endswith("UNICODE") and isinstance(argument, str):
            texts.add(argument)
        if name in _REFUSED or (name == "GLOBAL" and argument not in NAMED):
            raise InputError(
                f"it holds more than weights ({shorten(str(argument)) if name == 'GLOBAL' else name}), which could run "
                "code and is never read: save its backbone and decoder alone, where it was made"
            )
        if name.endswith("PUT") and isinstance(argument, int):
            (tuples.add if last.startswith("TUPLE") else tuples.discard)(argument)
        shared += name.endswith("GET") and argument in tuples
        if shared > MAX_SHARED:
            raise ValueError("it nests tuples in themselves")
        last = name
    file.seek(start + stream.tell())
    return texts
