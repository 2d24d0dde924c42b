"""What killed processes leave is removed by later runs; nothing else is."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from mine.errors import InputError
from mine.files import replacing
from mine.temporary import beside, make_folder, remove_leftovers, temporary_folder, unnamed_file


@pytest.fixture
def dead() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def age(path: Path, seconds: float) -> None:
    """Makes a file look as if it had last changed `seconds` ago."""
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_names_say_which_process_writes_and_fit_every_disk(tmp_path: Path) -> None:
    for name in ("scene.mpi", ".hidden", "é" * 120 + ".mp4", "a." + "x" * 200, "two\nlines.gif"):
        first, second = beside(tmp_path / name), beside(tmp_path / name)
        assert first != second and first.parent == tmp_path
        assert first.name.startswith(".") and f".{os.getpid()}.part" in first.name
        assert len(os.fsencode(first.name)) <= 255
    assert beside(tmp_path / "clip.mp4").suffix == ".mp4"


@pytest.mark.parametrize(
    "name", [".scene.{}.part-3.mpi", ".v.{}.part.mp4", ".frames.{}.part-0", ".a.b c.{}.part-12.html"]
)
def test_the_next_run_removes_what_a_dead_process_left(tmp_path: Path, dead: int, name: str) -> None:
    left = tmp_path / name.format(dead)
    if "frames" in name:
        left.mkdir()
        (left / "000000.png").touch()
    else:
        left.touch()
    age(left, 300)
    with replacing(tmp_path / "new.txt") as temporary:
        temporary.touch()
    assert [path.name for path in tmp_path.iterdir()] == ["new.txt"]


def test_what_a_killed_process_really_leaves_is_removed(tmp_path: Path) -> None:
    code = (
        "import os\nfrom mine.files import replacing\nwith replacing('a.txt') as t: t.touch(); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path).returncode == -9
    (left,) = tmp_path.iterdir()
    age(left, 300)
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_may_be_in_use_or_is_not_ours_stays(tmp_path: Path, dead: int) -> None:
    young = tmp_path / f".young.{dead}.part-0.mp4"
    names = [f".own.{os.getpid()}.part-0.mp4", f"shown.{dead}.part.mp4", f".other.{dead}.partial", ".part.mp4"]
    names += [f".huge.{10**30}.part-0.mp4", f".mail.{dead}.txt", f"mine-{dead}-x"]
    for name in names:
        (tmp_path / name).touch()
        age(tmp_path / name, 1e6)
    young.touch()
    remove_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {young.name, *names}


def test_temporary_folders_of_dead_processes_are_removed_when_their_time_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dead: int
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for kind, seconds in {"colmap": 300, "view": 300, "demo": 30}.items():
        folder = tmp_path / f"mine-{kind}-{dead}-abc"
        folder.mkdir()
        age(folder, seconds)
    with temporary_folder("colmap") as folder:
        (folder / "database.db").touch()
        found = {path.name for path in tmp_path.iterdir()}
    assert found == {folder.name, f"mine-view-{dead}-abc", f"mine-demo-{dead}-abc"}
    assert not folder.exists()
    remove_leftovers.cache_clear()
    for path in tmp_path.iterdir():
        age(path, 4000)
    kept = make_folder("view")
    assert list(tmp_path.iterdir()) == [kept]


def test_no_room_for_temporary_files_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    for use in (unnamed_file, lambda: make_folder("view")):
        with pytest.raises(InputError, match="TMPDIR"):
            use()
