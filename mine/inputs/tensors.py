"""safetensors files: names, types and shapes are known before any value is read; equal tensors make equal files."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from mine.errors import InputError
from mine.inputs.files import parsing, shown
from mine.inputs.names import utf8_name
from mine.inputs.weights import check_header, tensor_format

MAX_TENSORS = 10_000
"""Most tensors in a file: ours have five, and networks some hundred."""


@dataclass(frozen=True)
class TensorFile:
    """An open safetensors file.

    Attributes:
        metadata: Its text by key.
        shapes: Shapes by name.
        dtypes: Types by name, as safetensors writes them: "F32", "U8".
    """

    metadata: dict[str, str]
    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, str]
    _file: Any

    def read(self, name: str) -> Tensor:
        """Reads one tensor."""
        value: Tensor = self._file.get_tensor(name)
        return value


@contextmanager
def open_tensors(path: str | Path, what: str, remedy: str) -> Iterator[TensorFile]:
    """Opens a safetensors file and reads its header; nothing in the file is executed.

    Args:
        path: The file.
        what: What it should hold, a key of `mine.inputs.kinds.FORMATS`.
        remedy: What to do when it is not readable.

    Raises:
        InputError: It is no regular file, not in safetensors' format, or of another of MINE's.
    """
    if tensor_format(path, what, remedy) != "safetensors":
        raise InputError(f"{path} is not a readable {what}: it is in torch's format, not in safetensors': {remedy}")
    metadata = check_header(path, what, remedy)
    with ExitStack() as stack:
        with parsing(f"{path} is not a readable {what}", remedy):
            name = stack.enter_context(utf8_name(path))
            file = stack.enter_context(safe_open(name, framework="pt"))
            names = list(file.keys())
        if len(names) > MAX_TENSORS:
            raise InputError(f"{path} holds {len(names)} tensors, more than {MAX_TENSORS}: {remedy}")
        with parsing(f"{path} is not a readable {what}", remedy):
            slices = {name: file.get_slice(name) for name in names}
            shapes = {name: tuple(part.get_shape()) for name, part in slices.items()}
            dtypes = {name: str(part.get_dtype()) for name, part in slices.items()}
        yield TensorFile(metadata, shapes, dtypes, file)


def check_dtype(path: str | Path, file: TensorFile, name: str, allowed: tuple[str, ...]) -> None:
    """Raises InputError unless a tensor has one of the `allowed` types."""
    if file.dtypes[name] not in allowed:
        raise InputError(
            f"{path}: {shown(name)} has values of type {file.dtypes[name]}, not {' or '.join(allowed)}: make it anew"
        )


def pack_tensors(tensors: dict[str, Tensor], metadata: dict[str, str]) -> bytes:
    """A safetensors file whose header has its keys in order: safetensors writes metadata in a random one.

    Equal networks and equal scenes then have equal files.
    """
    data = save(tensors, metadata)
    length = int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8 : 8 + length]), sort_keys=True, separators=(",", ":")).encode()
    return data[:8] + header.ljust(length) + data[8 + length :]
