"""Frames of a video file, by ffmpeg."""

import subprocess
from pathlib import Path

from mine.errors import InputError
from mine.ffmpeg import ffmpeg_program
from mine.inputs.files import open_input

CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,asf,flv,ogg,gif,mjpeg,h264,hevc"
"""ffmpeg's names of the formats that are read. It knows more; playlists make it open other files and addresses."""


def extract_frames(video: Path, folder: Path, rate: float) -> list[str]:
    """Writes frames of a video as JPEG files, rotated upright by its metadata.

    Args:
        video: The file.
        folder: Where frames are written; it is created.
        rate: Frames per second, where the video has as many: none is written twice.

    Returns:
        Names of the frames' files, in order.

    Raises:
        InputError: The rate is not above 0 and at most 60, or the file is no readable video.
    """
    if not 0 < rate <= 60:
        raise InputError(f"{rate} frames per second is out of range: give a number above 0, at most 60")
    folder.mkdir(parents=True)
    open_input(video, "video", "give a video file or a folder of pictures").close()
    command = [ffmpeg_program(), "-nostdin", "-loglevel", "error", "-protocol_whitelist", "file"]
    command += ["-format_whitelist", CONTAINERS, "-i", f"file:{video.absolute()}", "-map", "0:v:0"]
    command += ["-vf", _one_each(rate), "-qscale:v", "2", "-f", "image2", "%06d.jpg"]
    # Run in the folder: a percent sign in its name would count as part of the pattern.
    ended = subprocess.run(command, capture_output=True, text=True, errors="replace", cwd=folder)
    names = sorted(path.name for path in folder.iterdir())
    if not names:  # a video that breaks off still gives the frames before
        reason = (ended.stderr.strip().splitlines() or ["it holds no frames"])[-1].removeprefix("Error: ")
        raise InputError(f"{video} is not a readable video ({reason}): give a video file or a folder of pictures")
    return names


def _one_each(rate: float) -> str:
    """ffmpeg's filters that take the first frame in each interval of 1 / `rate` seconds.

    Its own `fps` repeats frames while there are none: a file of 40 kB with a gap of a day would fill the disk.
    """
    is_next = f"isnan(prev_selected_t)+gt(floor(t*{rate}),floor(prev_selected_t*{rate}))"
    return f"select='{is_next}',settb=AVTB,setpts=N/({rate}*TB),fps={rate}"
