"""Writing of files and folders that appear whole or not at all, under names that may be links, long or taken."""

import ctypes
import errno
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path, PurePath
from typing import NamedTuple

from mine.errors import InputError
from mine.temporary import beside, remove_leftovers

ON_WINDOWS = os.name == "nt"

WINDOWS_DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(10))}
"""Names that Windows keeps for devices, with any extension."""

LONGEST_NAME = 255
"""Bytes of the longest name of a file that common file systems allow."""

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS})
"""Errors of a disk that takes no more."""


def is_clutter(name: str) -> bool:
    """Whether a file is one that systems put into every folder: `._` files, .DS_Store, Thumbs.db and desktop.ini."""
    return name.startswith("._") or name in (".DS_Store", "Thumbs.db", "desktop.ini")


def windows_name_fault(path: PurePath) -> str | None:
    """What is wrong with a path on Windows, which would write to a device, or beside the file that is meant.

    Args:
        path: The path, of any system.

    Returns:
        What is wrong with one of its names, or None. Rules: "Naming Files, Paths, and Namespaces", Microsoft.
    """
    names = path.parts[1:] if path.anchor else path.parts
    for name in names:
        if name in (".", ".."):
            continue
        if any(character in '<>:"|?*' or ord(character) < 32 for character in name):
            return f'names on Windows have none of <>:"|?*, but {name!r} has'
        if name.endswith((" ", ".")):
            return f"names on Windows end in neither a space nor a dot, but {name!r} does"
        if name.split(".")[0].rstrip().upper() in WINDOWS_DEVICES:
            return f"{name!r} is a device on Windows"
    return None


def check_name(path: object) -> None:
    """Raises InputError for an argument that is not the name of a file: text or a path."""
    if not isinstance(path, (str, PurePath)):
        raise InputError(f"cannot write to a {type(path).__name__}: give the name of a file, as text or as a path")


def check_writable(path: str | Path, folder: bool = False) -> None:
    """Checks, before the work, that a file or a folder can be written.

    Args:
        path: The file or folder. The folder that it lies in need not exist yet.
        folder: Whether it is a folder.

    Raises:
        InputError: The name is none or too long, a device, pipe or socket, or taken by a folder where a file is to be
            written, or by a file where a folder is; or its folder, or the nearest one above it that exists, is not
            writable.
    """
    fault = windows_name_fault(Path(path)) if ON_WINDOWS else None
    if fault is not None:
        raise InputError(f"cannot write {path}: {fault}; give another name")
    target = _target(path)
    if not folder and os.path.isdir(target):  # unlike Path's, no exception where permissions lack
        raise InputError(f"cannot write {path}: it is a folder, give the name of a file")
    if folder and os.path.isfile(target):
        raise InputError(f"cannot write {path}: it is a file, give the name of a folder")
    if folder and os.path.ismount(target):
        raise InputError(f"cannot write {path}: it is where a disk is mounted, name a folder in it")
    above = target.parent
    while not os.path.exists(above):
        above = above.parent
    try:
        with tempfile.TemporaryFile(dir=above):  # permissions alone say little: of root, of disks that are read-only
            pass
    except OSError as error:
        reason = f"{above} is not a folder that can be written ({error.strerror})"
        raise InputError(f"cannot write {path}: {reason}; choose another") from error


@contextmanager
def disk_full_reported(path: str | Path) -> Iterator[None]:
    """Context in which a disk that takes no more is reported.

    Args:
        path: What is being written, for the message.

    Raises:
        InputError: In place of an OSError of `NO_ROOM`, or of a library's exception of another class that names one.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        code = _no_room(error)
        if code is None:
            raise
        raise InputError(f"cannot write {path} ({os.strerror(code)}): make room, or choose another disk") from error


def _no_room(error: Exception) -> int | None:
    """The number of `NO_ROOM` that an exception stands for; libraries written in C++ and Rust leave its text alone."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno if error.errno in NO_ROOM else None
    return next((code for code in sorted(NO_ROOM) if os.strerror(code) in str(error)), None)


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Replaces a file or folder atomically by what the block writes, when the block ends without an exception.

    When the block raises, what it wrote is removed and what was there before stays. The new file has the permissions
    of the one that was there, or those that the umask gives. Symbolic links stay and what they lead to is replaced.

    Args:
        path: The file or folder to write; folders above it are made.

    Yields:
        A temporary path beside it, with the same suffix, where the block writes a file or a folder.

    Raises:
        InputError: Its folder is not writable, a file would replace a folder, a folder a file, or either a device; or
            the disk is full.
    """
    with replacing_together([path]) as (temporary,):
        yield temporary


@contextmanager
def replacing_together(paths: Sequence[str | Path]) -> Iterator[list[Path]]:
    """Replaces several files or folders, all of them or none, when the block ends without an exception.

    They take their places one right after the other, in the order given.

    Args:
        paths: As for `replacing`.

    Yields:
        As `replacing`, one for each.

    Raises:
        InputError: As `replacing`.
    """
    with ExitStack() as cleanup:
        moves = [_prepare(path, cleanup) for path in paths]
        with disk_full_reported(paths[0]):
            yield [move.temporary for move in moves]
        _put_in_place(moves)


class _Move(NamedTuple):
    """A file or folder on its way into place."""

    given: str | Path
    """the path as the caller gave it"""
    temporary: Path
    target: Path
    """the path, symbolic links followed"""
    permissions: int
    """those of what is to be replaced; of new files, as the umask has them, when there is nothing"""


def _target(path: str | Path) -> Path:
    """The file or folder that a path leads to. Raises InputError for what names none, and for devices."""
    check_name(path)
    if Path(path).name in ("", "..") or str(path) == "-":
        raise InputError(f"cannot write {path}: give the name of a file")
    try:
        longest = max(len(os.fsencode(part)) for part in Path(path).parts)
        mode = os.stat(path).st_mode if longest <= LONGEST_NAME else stat.S_IFREG
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        mode = stat.S_IFREG  # it is new, or its folder will be found at fault
    except (OSError, ValueError) as error:
        raise InputError(f"cannot write {path} ({error}): choose another name") from error
    if longest > LONGEST_NAME:
        raise InputError(f"cannot write {path}: the name is longer than {LONGEST_NAME} bytes, choose a shorter one")
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise InputError(f"cannot write {path}: it is a device, pipe or socket, give the name of a file")
    return Path(os.path.realpath(path))


def _prepare(path: str | Path, cleanup: ExitStack) -> _Move:
    """Makes the folders above a path and finds a temporary path in it; `cleanup` removes what is left of them."""
    target = _target(path)
    temporary = beside(target)
    try:
        for folder in reversed([folder for folder in target.parents if not os.path.exists(folder)]):
            cleanup.callback(_remove_if_empty, folder)  # before it is there: a signal may come right after
            folder.mkdir(exist_ok=True)
        cleanup.callback(_remove, temporary)
        temporary.touch()
        permissions = stat.S_IMODE((target if target.exists() else temporary).stat().st_mode)
        temporary.unlink()
    except OSError as error:
        raise InputError(f"cannot write {path} ({error.strerror}): choose a folder that can be written") from error
    remove_leftovers(target.parent)
    return _Move(path, temporary, target, permissions)


def _put_in_place(moves: Sequence[_Move]) -> None:
    """Renames the temporary files and folders to their names; when one cannot be, those before it are put back."""
    done: list[_Move] = []
    try:
        for move in moves:
            try:
                _copy_permissions(move)
                # The last file needs no way back, and is replaced in one step on every system.
                undoable = _swap(move, plain=move is moves[-1] and move.temporary.is_file())
            except OSError as error:
                raise InputError(f"cannot write {move.given} ({error.strerror}): choose another name") from error
            if undoable:
                done.append(move)
    except BaseException:
        for move in reversed(done):
            if not _exchange(move.temporary, move.target):
                os.replace(move.target, move.temporary)  # nothing was there before
        raise


def _copy_permissions(move: _Move) -> None:
    """Gives the new file or folder its permissions, and checks that it is of the kind that it replaces."""
    new = move.temporary.stat().st_mode
    if move.target.exists() and stat.S_ISDIR(move.target.stat().st_mode) != stat.S_ISDIR(new):
        raise OSError(errno.EEXIST, "it is a folder" if stat.S_ISREG(new) else "it is a file")
    if stat.S_ISREG(new) or move.target.exists():
        with suppress(OSError):  # file systems without permissions
            move.temporary.chmod(move.permissions)


def _swap(move: _Move, plain: bool) -> bool:
    """Puts a file or folder in place; what was there is then at the temporary path.

    Returns:
        Whether the move can be undone.
    """
    temporary, target = move.temporary, move.target
    if plain or not target.exists():
        os.replace(temporary, target)
        return not plain
    if _exchange(temporary, target):
        return True
    if target.is_dir():
        aside = beside(target)
        os.rename(target, aside)
        os.rename(temporary, target)
        os.rename(aside, temporary)
    else:
        os.replace(temporary, target)
    return False


def _exchange(first: Path, second: Path) -> bool:
    """Exchanges two files or folders in one step, where the system can; returns whether it did."""
    if sys.platform != "linux":
        return False
    at_cwd, flag_exchange = -100, 2
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    return rename is not None and rename(at_cwd, os.fsencode(first), at_cwd, os.fsencode(second), flag_exchange) == 0


def _remove(path: Path) -> None:
    """Removes a file or folder, if there is one."""
    if os.path.isdir(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):  # not where the folder has no permissions
        with suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()


def _remove_if_empty(folder: Path) -> None:
    """Removes a folder unless something is in it."""
    with suppress(OSError):
        folder.rmdir()
