"""Files that are no videos: told in one line, and nothing they name is opened."""

import os
import socket
import threading
from pathlib import Path

import pytest

from mine.data.sfm.frames import extract_frames
from mine.errors import InputError

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
