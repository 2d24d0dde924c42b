"""The ffmpeg program, which encodes and decodes videos."""

import shutil

from imageio_ffmpeg import get_ffmpeg_exe

from mine.errors import InputError


def ffmpeg_program() -> str:
    """The program that comes with imageio_ffmpeg, or that the environment variable IMAGEIO_FFMPEG_EXE names.

    Raises:
        InputError: There is none, or it cannot be run.
    """
    try:
        program: str = get_ffmpeg_exe()
    except RuntimeError as error:
        raise InputError("no ffmpeg is installed: install it, or set IMAGEIO_FFMPEG_EXE to its file") from error
    if shutil.which(program) is None:
        raise InputError(f"no ffmpeg program at {program}: unset IMAGEIO_FFMPEG_EXE, or set it to such a program")
    return program
