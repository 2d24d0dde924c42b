"""Opening of raw photos, by LibRaw: an extra, since it takes a library to read what each maker of cameras writes."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mine.errors import InputError
from mine.inputs.files import open_input, parsing
from mine.inputs.images import RawPhotoError

MAX_BYTES = 1 << 29
"""Most bytes of a file, which LibRaw has in memory: 100 million pixels at 16 bits have 200 MB."""

REMEDY = "export it as JPEG, HEIC or TIFF"


@contextmanager
def open_raw(path: Path, refused: RawPhotoError) -> Iterator[Any]:
    """Opens a raw photo; nothing is decoded before the block asks for it.

    Args:
        path: The file.
        refused: What was said when it was opened as an image.

    Yields:
        A `rawpy.RawPy`.

    Raises:
        InputError: As `refused` where rawpy is not installed; LibRaw cannot read the file, or the block's exceptions.
    """
    if not find_spec("rawpy"):
        raise InputError(str(refused)) from refused
    import rawpy

    with ExitStack() as stack, parsing(f"{path} is a raw photo that cannot be developed", REMEDY):
        file = stack.enter_context(open_input(path, "photo", "check the name", MAX_BYTES))
        try:
            yield stack.enter_context(rawpy.imread(file))
        except rawpy.LibRawError as error:  # whose message is bytes
            raise ValueError(b"".join(part for part in error.args if isinstance(part, bytes)).decode()) from error
