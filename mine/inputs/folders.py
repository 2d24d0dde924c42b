"""Folders that a user named: what is in them, or one line that says why they cannot be looked into."""

import os
import stat
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from mine.errors import InputError
from mine.inputs.files import reason

OF_THE_DISK = "lost+found"
"""A folder at the top of a disk that root alone may read."""


def entries(folder: Path) -> list[Path]:
    """What lies in a folder, by name; `OF_THE_DISK` does not count.

    Raises:
        InputError: It cannot be listed: it is missing, none, or without permission.
    """
    try:
        return sorted(path for path in folder.iterdir() if path.name != OF_THE_DISK)
    except (OSError, ValueError) as error:
        raise _refused(folder, error) from error


def matching(folder: Path, pattern: str) -> list[Path]:
    """What matches a pattern in a folder, by name; nothing where there is no folder.

    Raises:
        InputError: It cannot be listed.
    """
    if not is_folder(folder):
        return []
    try:
        os.scandir(folder).close()  # glob takes what cannot be listed for empty
        return sorted(folder.glob(pattern))
    except OSError as error:
        raise _refused(folder, error) from error


def is_file(path: Path) -> bool:
    """Whether there is a regular file. Raises InputError where a folder's permissions do not let it be known."""
    return stat.S_ISREG(_mode(path))


def is_folder(path: Path) -> bool:
    """Whether there is a folder. Raises InputError as `is_file` does."""
    return stat.S_ISDIR(_mode(path))


def _mode(path: Path) -> int:
    """What kind of file there is, 0 for none."""
    try:
        return os.stat(path).st_mode
    except PermissionError as error:
        raise _refused(path, error) from error
    except (OSError, ValueError):  # there is none, or its name is none
        return 0


def files_below(folder: Path, passed_over: Callable[[Path], bool] = lambda path: False) -> Iterator[Path]:
    """Files in a folder and in those below it, each real folder once: links may lead back to one above.

    Args:
        folder: The folder.
        passed_over: Whether a file or folder is left out.

    Raises:
        InputError: A folder cannot be listed.
    """
    seen: set[tuple[int, int]] = set()
    waiting = deque([folder])
    while waiting:
        current = waiting.popleft()
        listed = entries(current)
        status = os.stat(current)
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        for path in listed:
            if passed_over(path):
                continue
            if not os.path.isdir(path):
                yield path
            elif path.is_symlink():
                waiting.append(path)  # behind all that have names of their own
            else:
                waiting.appendleft(path)


def _refused(path: Path, error: OSError | ValueError) -> InputError:
    """What is said of a file or folder that cannot be looked at."""
    return InputError(f"{path} cannot be read ({reason(error)}): make it readable, or name another")
