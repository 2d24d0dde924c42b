"""Writing a video of frames alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mine.files import replacing
from mine.output.writers import WriteFrame, check_output, frame_encoder


@contextmanager
def frame_writer(out: str | Path, size: tuple[int, int], fps: float = 30) -> Iterator[WriteFrame]:
    """A function that appends one frame; the file appears when the context ends without an exception."""
    check_output(out, size, fps)
    with replacing(out) as temporary, frame_encoder(out, temporary, size, fps) as write:
        yield write
