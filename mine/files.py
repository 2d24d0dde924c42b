"""Files that appear whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mine.errors import InputError


def check_writable(path: str | Path) -> None:
    """Raises InputError, before the work, when `path` cannot be written in its folder or where that would be made."""
    folder = Path(path).absolute().parent
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"cannot write {path}: {folder} is not a folder that can be written; choose another")


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yields a temporary path beside `path` (same suffix) that takes its place when the block ends without an error.

    The block may write a file or a folder there. Whatever it left is removed when it raises.
    Raises InputError when the folder of `path` cannot be written, or a folder would give way to a file.
    """
    path = Path(path)
    if path.name in ("", ".."):
        raise InputError(f"cannot write {path}: give a name, not a folder on the way")
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
