"""Writers of frames: videos, animated images and folders of PNGs. Files appear whole or not at all.

Frames go to ffmpeg through a pipe, so that a long video needs no memory; but for GIFs, whose palette is made of all
frames, which ffmpeg keeps for it. `imageio_ffmpeg` finds the program; its own writer is not used because it ignores
ffmpeg's exit status, so that a full disk would go unnoticed.
"""

import math
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from fractions import Fraction
from itertools import count
from numbers import Real
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mine.errors import InputError
from mine.ffmpeg import ffmpeg_program, signals_held
from mine.files import check_writable, is_clutter
from mine.inputs.folders import entries
from mine.inputs.numbers import whole_number
from mine.temporary import unnamed_file

LEAST_FPS = 0.01
"""Frame rates are above this: players round slower ones to 0."""

MOST_FPS = {".gif": 50}
"""Largest frame rates by ending, where they are not 240: a frame of a GIF lasts a whole number of hundredths of a
second, and players show those of one for longer."""

MOST_GIF_PIXELS = 1 << 28
"""Most pixels of all frames of a GIF: ffmpeg keeps them at 4.5 bytes each, 1.2 GB."""

LEAST_SIDES = {"hevc": 16, "av1": 16}
"""Least sides in pixels of frames by codec: the encoders fail at smaller ones, or corrupt their memory."""

WriteFrame = Callable[[np.ndarray[Any, Any]], None]
"""Appends one frame: (H, W, 3) uint8 RGB; folders also take (H, W) uint16."""

# Players guess the colour matrix of untagged video from its size: convert to BT.709 and tag it as such.
_BT709 = (
    "scale=out_color_matrix=bt709:out_range=tv,format={},"
    "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv"
)
_YUV420 = ["-vf", _BT709.format("yuv420p")]
# Long runs of B-frames suit a smooth camera path: as good a picture as preset fast at 18, in half its time.
_H264 = [*_YUV420, "-c:v", "libx264", "-preset", "veryfast", "-crf", "16", "-bf", "6", "-rc-lookahead", "30"]
_H264 += ["-movflags", "+faststart"]
_HEVC = [*_YUV420, "-c:v", "libx265", "-preset", "fast", "-crf", "20", "-tag:v", "hvc1", "-x265-params", "log-level=1"]
_HEVC += ["-movflags", "+faststart"]
_VP9 = [
    *_YUV420,
    "-c:v",
    "libvpx-vp9",
    "-b:v",
    "0",
    "-crf",
    "24",
    "-row-mt",
    "1",
    "-deadline",
    "good",
    "-cpu-used",
    "4",
]
_AV1 = [*_YUV420, "-c:v", "libsvtav1", "-preset", "8", "-crf", "28"]
# For editing: each frame on its own, 10 bits, 4:2:2.
_PRORES = ["-vf", _BT709.format("yuv422p10le"), "-c:v", "prores_ks", "-profile:v", "hq", "-vendor", "apl0"]
# One palette for the whole clip, made from all frames, so that colours do not flicker.
_GIF = ["-vf", "split[a][b];[a]palettegen[p];[b][p]paletteuse", "-loop", "0", "-f", "gif"]
_WEBP = ["-c:v", "libwebp_anim", "-quality", "80", "-loop", "0", "-f", "webp"]

ENCODERS: dict[str, list[str]] = {
    ".mp4": [*_H264, "-f", "mp4"],
    ".m4v": [*_H264, "-f", "mp4"],
    ".mov": [*_H264, "-f", "mov"],
    ".gif": _GIF,
    ".webp": _WEBP,
    ".apng": ["-plays", "0", "-pred", "mixed", "-f", "apng"],
    ".webm": [*_VP9, "-f", "webm"],
    ".mkv": [*_H264, "-f", "matroska"],
}
"""ffmpeg's output options by file extension."""

CODECS: dict[str, dict[str, list[str]]] = {
    "h264": {ending: ENCODERS[ending] for ending in (".mp4", ".m4v", ".mov", ".mkv")},
    "hevc": {".mp4": [*_HEVC, "-f", "mp4"], ".mov": [*_HEVC, "-f", "mov"], ".mkv": [*_HEVC, "-f", "matroska"]},
    "vp9": {".webm": ENCODERS[".webm"], ".mkv": [*_VP9, "-f", "matroska"]},
    "av1": {
        ".webm": [*_AV1, "-f", "webm"],
        ".mp4": [*_AV1, "-movflags", "+faststart", "-f", "mp4"],
        ".mkv": [*_AV1, "-f", "matroska"],
    },
    "prores": {".mov": [*_PRORES, "-f", "mov"]},
}
"""ffmpeg's output options by codec and file extension, where another codec than the extension's default is wanted."""


def is_folder(out: str | Path) -> bool:
    """Whether `out` names a folder of PNGs: a name without extension, or one that ends in a slash."""
    return str(out).endswith(("/", os.sep)) or not Path(out).suffix


def frame_encoder(
    out: str | Path,
    temporary: Path,
    size: tuple[int, int],
    fps: float,
    text: dict[str, str] | None = None,
    codec: str | None = None,
) -> AbstractContextManager[WriteFrame]:
    """Opens a video for writing, under a temporary name: callers put several files in place together (`replacing`).

    Args:
        out: .mp4, .m4v, .mov or .mkv (H.264, yuv420p, BT.709), .webm (VP9), .gif, .webp or .apng (these loop for ever),
            or a folder of 000000.png, 000001.png and so on (`is_folder`). Messages name it.
        temporary: File or folder to write, with the suffix of `out`.
        size: (H, W) of the frames in pixels.
        fps: Frames per second.
        text: Metadata of each PNG of a folder, by name.
        codec: One of `CODECS` instead of the extension's own.

    Returns:
        A context with a function that appends one frame; the video is whole when it ends without an exception.

    Raises:
        InputError: The frames are too small for the codec; or, in the context, writing fails.
    """
    least = LEAST_SIDES.get(codec or "", 1)
    if min(size) < least:
        raise InputError(f"{codec} video cannot be {size[1]}x{size[0]}: give at least {least} pixels a side, or h264")
    return _folder(out, temporary, text or {}) if is_folder(out) else _ffmpeg(out, temporary, size, fps, codec)


def check_output(out: str | Path, size: tuple[int, int], fps: float, codec: str | None = None, frames: int = 1) -> None:
    """Checks a video's name, size, frame rate and length before there are frames.

    Args:
        out: As for `frame_encoder`.
        size: As for `frame_encoder`.
        fps: As for `frame_encoder`.
        codec: As for `frame_encoder`.
        frames: Number of frames.

    Raises:
        InputError: For an unknown extension, a frame rate out of range, an odd size for H.264, a GIF of too many
            frames, or a folder that holds other files.
    """
    check_writable(out, is_folder(out))
    if not is_folder(out):
        ffmpeg_program()
    check_fps(fps)
    suffix = Path(out).suffix.lower()
    if fps > MOST_FPS.get(suffix, fps):
        raise InputError(
            f"fps {fps:g} is more than {suffix} holds: give at most {MOST_FPS[suffix]}, or write .webp, .apng or .mp4"
        )
    if Path(out).name.lower() in ENCODERS:
        raise InputError(f"cannot write {out}: that is an ending alone, give a name before it")
    if codec is not None and suffix not in CODECS.get(codec, {}):
        if codec not in CODECS:
            raise InputError(f"unknown codec {codec!r}: choose {', '.join(CODECS)}")
        raise InputError(f"{codec} cannot be written to {out}: give a name that ends in {' or '.join(CODECS[codec])}")
    if is_folder(out):
        _check_folder(Path(out))
        return
    if suffix not in ENCODERS:
        raise InputError(f"cannot write {out}: use {', '.join(ENCODERS)}, or no extension for a folder of PNGs")
    if "-c:v" in _options(suffix, codec) and suffix != ".webp" and (size[0] % 2 or size[1] % 2):
        raise InputError(f"{suffix} video cannot be {size[1]}x{size[0]}: give an even width and height")
    if suffix == ".gif" and frames * size[0] * size[1] > MOST_GIF_PIXELS:
        raise InputError(
            f"{frames} frames of {size[1]}x{size[0]} pixels are too many for a .gif: give at most "
            f"{MOST_GIF_PIXELS // (size[0] * size[1])}, or a smaller size, or write .webp or .mp4"
        )


def check_fps(fps: float) -> None:
    """Raises InputError unless frames per second are above `LEAST_FPS`, at most 240."""
    if not (isinstance(fps, Real) and math.isfinite(fps) and LEAST_FPS < fps <= 240):
        raise InputError(f"fps {fps!r} is out of range: give frames per second above {LEAST_FPS}, at most 240")


def _check_folder(folder: Path) -> None:
    """Raises InputError unless the folder may be replaced: it must hold nothing but frames."""
    if not os.path.isdir(folder):
        return
    if not all(is_clutter(path.name) or _is_frame(path) for path in entries(folder)):
        raise InputError(f"folder {folder} holds other files: name a new or empty folder for the frames")


def _is_frame(path: Path) -> bool:
    """Whether a file is named as frames are."""
    return path.suffix == ".png" and whole_number(path.stem) is not None


def _write_error(out: str | Path, reason: str) -> InputError:
    """The error for a write that failed midway."""
    return InputError(f"cannot write {out} ({reason}): is the disk full?")


@contextmanager
def _folder(out: str | Path, temporary: Path, text: dict[str, str]) -> Iterator[WriteFrame]:
    """Writes frames as numbered PNGs to the folder `temporary`; errors name `out`."""
    metadata = PngInfo()
    for name, value in text.items():
        metadata.add_text(name, value)
    temporary.mkdir()
    number = count()

    def write(frame: np.ndarray[Any, Any]) -> None:
        try:
            # Compression level 3 takes a third of the default level's time for files hardly larger.
            Image.fromarray(frame).save(temporary / f"{next(number):06d}.png", compress_level=3, pnginfo=metadata)
        except OSError as error:
            raise _write_error(out, error.strerror or str(error)) from error

    yield write


@contextmanager
def _ffmpeg(
    out: str | Path, temporary: Path, size: tuple[int, int], fps: float, codec: str | None
) -> Iterator[WriteFrame]:
    """Pipes frames to an ffmpeg process that writes `temporary`; errors name `out`."""
    command = _ffmpeg_command(temporary, size, fps, codec)
    with unnamed_file() as log, _encoder(command, log) as process:
        assert process.stdin is not None
        pipe = process.stdin

        def write(frame: np.ndarray[Any, Any]) -> None:
            try:
                pipe.write(np.ascontiguousarray(frame).data)
            except OSError as error:
                process.wait()
                raise _write_error(out, _last_line(log)) from error

        yield write
        with suppress(BrokenPipeError):  # the exit status reports the same failure
            pipe.close()
        if process.wait() != 0:
            raise _write_error(out, _last_line(log))


@contextmanager
def _encoder(command: list[str], log: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """A program that reads its standard input and has ended when the context ends."""
    process = None
    try:
        with signals_held():
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=log)
        yield process
    finally:
        if process is not None:
            process.kill()
            with suppress(BrokenPipeError):
                process.stdin.close()  # type: ignore[union-attr]
            process.wait()


def _options(suffix: str, codec: str | None) -> list[str]:
    """ffmpeg's output options for a file extension and a codec, which is that of the extension if None."""
    return ENCODERS[suffix] if codec is None else CODECS[codec][suffix]


def _ffmpeg_command(path: Path, size: tuple[int, int], fps: float, codec: str | None = None) -> list[str]:
    """The command that reads raw RGB frames on standard input and writes `path`, whatever colons its name has."""
    rate = str(Fraction(float(fps)).limit_denominator(1001))
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size[1]}x{size[0]}", "-r", rate, "-i", "-"]
    return [ffmpeg_program(), "-y", "-loglevel", "error", *raw, *_options(path.suffix.lower(), codec), f"file:{path}"]


def _last_line(log: IO[bytes]) -> str:
    """The last line that ffmpeg wrote to its log."""
    log.seek(0)
    lines = log.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "the encoder stopped"
