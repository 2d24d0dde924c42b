"""The ffmpeg program is found, or named in one line, and does not outlive what started it."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from frame_writer import frame_writer

from mine.cli.ending import Stopped, stopped_by_signals
from mine.errors import InputError
from mine.ffmpeg import ffmpeg_program
from mine.output.writers import check_output


def test_the_program_can_be_run() -> None:
    assert os.access(ffmpeg_program(), os.X_OK)


@pytest.mark.parametrize("name", ["nowhere", "folder", "notes.txt"])
def test_a_program_that_is_none_is_told_before_there_are_frames(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "notes.txt").write_text("no program")
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / name))
    with pytest.raises(InputError, match=f"no ffmpeg program at .*{name}: unset IMAGEIO_FFMPEG_EXE"):
        check_output(tmp_path / "a.mp4", (32, 48), 30)
    check_output(tmp_path / "frames", (32, 48), 30)


def test_no_program_at_all_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise RuntimeError("No ffmpeg exe could be found.")

    monkeypatch.setattr("mine.ffmpeg.get_ffmpeg_exe", fail)
    with pytest.raises(InputError, match="no ffmpeg is installed: install it"):
        ffmpeg_program()


def test_a_signal_while_the_encoder_starts_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start, started = subprocess.Popen, []

    def interrupted(*arguments: Any, **options: Any) -> Any:
        started.append(start(*arguments, **options))
        os.kill(os.getpid(), signal.SIGTERM)
        return started[0]

    monkeypatch.setattr(subprocess, "Popen", interrupted)
    with pytest.raises(Stopped), stopped_by_signals(), frame_writer(tmp_path / "new" / "v.mp4", (64, 96)):
        pytest.fail("a stopped program went on")
    assert started[0].returncode is not None
    assert os.listdir(tmp_path) == []
