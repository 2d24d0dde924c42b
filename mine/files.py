"""Writing of files and folders that appear whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mine.errors import InputError


def check_writable(path: str | Path) -> None:
    """Checks, before the work, that a file can be written.

    Args:
        path: The file. Its folder need not exist yet.

    Raises:
        InputError: When its folder, or the nearest one above it that exists, is not writable.
    """
    folder = Path(path).absolute().parent
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"cannot write {path}: {folder} is not a folder that can be written; choose another")


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Replaces a file or folder atomically by what the block writes, when the block ends without an exception.

    When the block raises, what it wrote is removed and what was there before stays.

    Args:
        path: The file or folder to write; folders above it are made.

    Yields:
        A temporary path beside it, with the same suffix, where the block writes a file or a folder.

    Raises:
        InputError: When its folder is not writable, or a file would replace a folder.
    """
    path = Path(path)
    if path.name in ("", ".."):
        raise InputError(f"cannot write {path}: give the name of a file")
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch()
        temporary.unlink()
    except OSError as error:
        raise InputError(f"cannot write {path} ({error.strerror}): choose a folder that can be written") from error
    try:
        yield temporary
        if path.is_dir() and temporary.is_dir():
            shutil.rmtree(path)
        try:
            os.replace(temporary, path)
        except OSError as error:
            raise InputError(f"cannot write {path} ({error.strerror}): choose another name") from error
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        else:
            temporary.unlink(missing_ok=True)
