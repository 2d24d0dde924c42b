"""Opening of files that are given: regular files alone, nothing waited for, and errors of parsers in one line."""

import errno
import os
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, BinaryIO

from mine.errors import InputError

_SILENCE = threading.RLock()


class NotRegularError(OSError):
    """A pipe, socket or device in the place of a file."""


def open_regular(path: str | Path) -> BinaryIO:
    """Opens a regular file for reading.

    Raises:
        OSError: There is none, it cannot be read, or it is a folder.
        NotRegularError: An OSError: it is a pipe, a socket or a device. These are not waited for.
        InputError: The path is none.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise InputError(f"cannot read a {type(path).__name__}: give the name of a file, as text or as a path")
    try:
        # Without this flag, opening a pipe waits for its other end. Windows has neither the flag nor such files.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except ValueError as error:  # a zero byte in the name
        raise FileNotFoundError(str(error)) from error
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket, or a device without a driver
            raise NotRegularError("it is a socket or a device, not a file") from error
        raise
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(f"{path} is a folder, not a file")
        if not stat.S_ISREG(mode):
            raise NotRegularError("it is a pipe or a device, not a file")
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def open_input(path: str | Path, what: str, remedy: str, limit: int | None = None) -> BinaryIO:
    """Opens a regular file that a user named.

    Args:
        path: The file.
        what: What it should hold, such as "photo", for the message.
        remedy: What to do when it is missing, for the message.
        limit: Most bytes that such a file has.

    Raises:
        InputError: As `open_regular`, or the file is larger than `limit`.
    """
    try:
        file = open_regular(path)
    except FileNotFoundError as error:
        raise InputError(f"no {what} at {path}: {remedy}") from error
    except IsADirectoryError as error:
        raise InputError(f"no {what} at {path}: it is a folder; name a file") from error
    except OSError as error:
        raise InputError(f"{what} {path} cannot be read ({error.strerror or error}): {remedy}") from error
    size = os.fstat(file.fileno()).st_size
    if limit is not None and size > limit:
        file.close()
        raise InputError(f"{what} {path} has {size} bytes, more than the {limit} that are read: {remedy}")
    return file


def read_text(path: str | Path, what: str, remedy: str, limit: int | None = None) -> str:
    """Reads a file of UTF-8 text; arguments and errors as for `open_input`, and InputError for what is no text."""
    with open_input(path, what, remedy, limit) as file, parsing(f"{what} {path} cannot be read", remedy):
        return file.read().decode("utf-8-sig")


@contextmanager
def parsing(complaint: str, remedy: str) -> Iterator[None]:
    """Context around the call of a library that parses bytes of unknown origin.

    Libraries let through whatever their parsers met (KeyError, struct.error, RecursionError, their own classes), and no
    list of these is complete. No code of ours belongs inside: its mistakes would be reported as the file's.

    Args:
        complaint: What is wrong with which file; the library's reason is added.
        remedy: What to do about it.

    Raises:
        InputError: For any exception inside.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of parsers that go on after an error: the outcome is told
            yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{complaint} ({reason(error)}): {remedy}") from error


@contextmanager
def silenced() -> Iterator[None]:
    """Context around the call of a library that prints what it thinks of a file, in C as well: its exceptions tell it.

    What other threads print to standard error meanwhile is lost.
    """
    # One thread at a time: another would keep the silence of the first as what is to be restored.
    with _SILENCE, open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), ExitStack() as stack:
        try:
            kept = os.dup(2)
        except OSError:  # standard error is closed
            yield
            return
        stack.callback(os.close, kept)
        stack.callback(os.dup2, kept, 2)
        os.dup2(nowhere.fileno(), 2)
        yield


def reason(error: BaseException) -> str:
    """The first line of an exception's message, or the name of its class."""
    lines = (getattr(error, "strerror", None) or str(error)).strip().splitlines()
    return shorten(lines[0]) if lines else type(error).__name__


def shown(value: Any, limit: int = 160) -> str:
    """A value as Python writes it, shortened to `limit` letters for messages."""
    try:
        return shorten(repr(value), limit)
    except (ValueError, RecursionError):  # a number with thousands of digits, or things nested as deep
        return f"a {type(value).__name__}"


def shorten(text: str, limit: int = 160) -> str:
    """Text of at most `limit` letters; a longer one ends in dots."""
    return text if len(text) <= limit else text[: limit - 3] + "..."
