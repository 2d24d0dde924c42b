"""Names of temporary files and folders. They hold the number of the process, so that later runs find what one left."""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import IO

from mine.errors import InputError

LIFETIME = 60.0
"""Seconds after which a temporary file of a dead process is removed: its encoder may outlive it a little."""

LIFETIMES = {"view": 3600.0}
"""The same by the kind of a folder: the browser may load the page of `mine view` again."""

_BESIDE = re.compile(r"\..+\.(?P<process>\d+)\.part(-\d+)?(\.[^.]*)?", re.DOTALL)
_FOLDER = re.compile(r"mine-(?P<kind>[a-z]+)-(?P<process>\d+)-\w+")

_numbers = count()


def beside(path: Path) -> Path:
    """A new hidden name in the folder of a file, with the same suffix; short, however long the file's name is."""
    return path.with_name(f".{path.stem[:40]}.{os.getpid()}.part-{next(_numbers)}{path.suffix[:20]}")


def make_folder(kind: str) -> Path:
    """Makes a folder among the system's temporary files, and removes those that dead processes left there.

    Args:
        kind: What it is for, in small letters; part of its name.

    Returns:
        The folder, which stays until it is removed.

    Raises:
        InputError: There is no room for temporary files.
    """
    with _temporary_files_needed():
        folder = Path(tempfile.mkdtemp(prefix=f"mine-{kind}-{os.getpid()}-"))
    remove_leftovers(folder.parent)
    return folder


@contextmanager
def temporary_folder(kind: str) -> Iterator[Path]:
    """Context with a folder as `make_folder` makes it, which is removed when the context ends."""
    folder = make_folder(kind)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def unnamed_file() -> IO[bytes]:
    """A temporary file without a name, which is gone once it is closed. Raises InputError when there is no room."""
    with _temporary_files_needed():
        return tempfile.TemporaryFile()


@contextmanager
def _temporary_files_needed() -> Iterator[None]:
    """Context in which it is reported that no temporary file can be written."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise InputError(
            f"no temporary file can be written ({reason}): make room, or name a folder in TMPDIR"
        ) from error


@cache  # once a process: folders with many files are written by one
def remove_leftovers(folder: Path) -> None:
    """Removes the temporary files and folders that dead processes of this user left in a folder.

    Those of processes that run, and those that changed within the last minute, stay.
    """
    if os.name != "posix":
        return  # elsewhere processes cannot be asked whether they run
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        match = _BESIDE.fullmatch(entry.name) or _FOLDER.fullmatch(entry.name)
        if match and not _runs(int(match["process"])):
            _remove_old(entry, LIFETIMES.get(match.groupdict().get("kind") or "", LIFETIME))


def _remove_old(entry: os.DirEntry[str], lifetime: float) -> None:
    """Removes a file or folder of this user that has not changed for `lifetime` seconds."""
    try:
        status = entry.stat(follow_symlinks=False)
        if status.st_uid != os.geteuid() or time.time() - status.st_mtime < lifetime:
            return
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            os.unlink(entry.path)
    except OSError:
        return  # another run has removed it, or may


def _runs(process: int) -> bool:
    """Whether a process of that number runs."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
