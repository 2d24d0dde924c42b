"""Files that are no videos: told in one line, and nothing they name is opened."""

import os
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from mine.data.sfm.frames import extract_frames
from mine.errors import InputError
from mine.ffmpeg import ffmpeg_program

PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{address}\n#EXT-X-ENDLIST\n"


def test_playlists_are_no_videos_and_open_nothing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        asked: list[object] = []

        def answer() -> None:
            try:
                asked.append(server.accept())
            except OSError:  # closed, unasked
                return

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        port = server.getsockname()[1]
        texts = [
            PLAYLIST.format(address=f"http://127.0.0.1:{port}/a.ts"),
            PLAYLIST.format(address="file:/etc/passwd"),
            f"ffconcat version 1.0\nfile http://127.0.0.1:{port}/a.mp4\n",
        ]
        for number, text in enumerate(texts):
            path = tmp_path / f"{number}.mp4"
            path.write_text(text)
            with pytest.raises(InputError, match="is not a readable video") as error:
                extract_frames(path, tmp_path / f"frames-{number}", 1)
            assert "\n" not in str(error.value)
        assert not asked


def test_pipes_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.mp4")
    with pytest.raises(InputError, match="pipe or a device"):
        extract_frames(tmp_path / "a.mp4", tmp_path / "frames", 1)


def video(path: Path, gap: int) -> Path:
    """Two seconds of 8 frames each, the last half second of which comes `gap` seconds late."""
    whole = path.with_name("whole.mp4")
    make = [ffmpeg_program(), "-loglevel", "error", "-y"]
    source = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=8:duration=2", "-c:v", "mjpeg"]
    subprocess.run([*make, *source, str(whole)], check=True)
    late = rf"setts=ts=if(lt(N\,12)\,PTS\,PTS+{gap}/TB)"
    subprocess.run([*make, "-i", str(whole), "-c", "copy", "-bsf:v", late, str(path)], check=True)
    return path


@pytest.mark.parametrize(("rate", "count"), [(0.3, 1), (2, 4), (4, 8), (7, 14), (60, 16)])
def test_each_frame_is_written_once(tmp_path: Path, rate: float, count: int) -> None:
    assert len(extract_frames(video(tmp_path / "a.mp4", 0), tmp_path / "frames", rate)) == count


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_gaps_in_time_are_not_filled(tmp_path: Path, ending: str) -> None:
    names = extract_frames(video(tmp_path / f"a.{ending}", 3600), tmp_path / "frames", 4)
    assert len({(tmp_path / "frames" / name).read_bytes() for name in names}) == len(names) == 8
