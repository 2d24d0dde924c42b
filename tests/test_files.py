"""Files appear whole or not at all."""

import errno
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path, PureWindowsPath

import pytest
import torch
from permissions import permissions_count

from mine import files
from mine.errors import InputError
from mine.files import check_writable, replacing, replacing_together, windows_name_fault
from mine.network.architecture import Architecture
from mine.network.checkpoint import make_network, save_network
from mine.scene.camera import intrinsics
from mine.scene.mpi import MPI


def test_a_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "scene.mpi"
    with replacing(path) as temporary:
        temporary.write_text("whole")
        assert temporary.suffix == ".mpi"
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with replacing(str(path)) as temporary:
        temporary.write_text("half")
        assert path.read_text() == "old"
    assert path.read_text() == "half"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("kind", ["file", "folder", "nothing"])
def test_an_error_leaves_everything_as_it_was(tmp_path: Path, error: type[BaseException], kind: str) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail() -> None:
        with replacing(path) as temporary:
            if kind == "file":
                temporary.write_text("half")
            elif kind == "folder":
                temporary.mkdir()
                (temporary / "part").write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_signal_right_after_a_folder_is_made_removes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = Path.mkdir

    def interrupted(folder: Path, *arguments: bool, **options: bool) -> None:
        make(folder, *arguments, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "mkdir", interrupted)
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "new" / "a.txt"):
        pass
    assert os.listdir(tmp_path) == []


def test_a_folder_takes_the_place_of_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "frames"
    for name in ("first", "second"):
        with replacing(path) as temporary:
            temporary.mkdir()
            (temporary / name).touch()
        assert [file.name for file in path.iterdir()] == [name]
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_never_takes_the_place_of_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "photos"
    path.mkdir()
    (path / "dear.jpg").touch()
    with pytest.raises(InputError, match="photos"), replacing(path) as temporary:
        temporary.write_text("scene")
    assert (path / "dear.jpg").exists()
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_never_takes_the_place_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "dear"
    path.write_text("text")
    with pytest.raises(InputError, match="dear"), replacing(path) as temporary:
        temporary.mkdir()
    assert path.read_text() == "text"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    # A file in the place of the folder stops every user, root too.
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot write .*choose a folder"), replacing(tmp_path / "file" / "a.txt"):
        pytest.fail("the block must not run")


@pytest.mark.parametrize("name", [".", "..", "/", ""])
def test_names_of_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="cannot write"), replacing(name) as temporary:
        temporary.touch()
    assert list(tmp_path.iterdir()) == []


def test_names_that_are_too_long(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot write"), replacing(tmp_path / ("x" * 300)):
        pytest.fail("the block must not run")


# Permissions, links, devices, names


@pytest.fixture
def umask() -> Iterator[None]:
    """A umask of 027."""
    before = os.umask(0o027)
    yield
    os.umask(before)


def permissions(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_permissions_are_those_of_the_umask_or_of_the_old_file(tmp_path: Path, umask: None) -> None:
    new, old = tmp_path / "new", tmp_path / "old"
    old.touch()
    old.chmod(0o604)
    for path in (new, old):
        with replacing(path) as temporary:
            temporary.touch(mode=0o600)
    assert (permissions(new), permissions(old)) == (0o640, 0o604)


def test_scenes_and_checkpoints_have_the_permissions_of_the_umask(tmp_path: Path, umask: None) -> None:
    rgb, sigma = torch.rand(2, 3, 4, 6), torch.ones(2, 1, 4, 6)
    MPI(rgb, sigma, torch.tensor([1.0, 0.5]), intrinsics((4, 6))).save(tmp_path / "scene.mpi")
    network = make_network(Architecture("mobilenetv3_small_050", widths=(4, 4, 4, 4, 4), bottleneck=(4, 4)))
    save_network(network, tmp_path / "network.safetensors")
    assert {permissions(path) for path in tmp_path.iterdir()} == {0o640}


def test_links_are_written_through(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "old.txt").write_text("old")
    (tmp_path / "real" / "frames").mkdir()
    for name in ("old.txt", "none.txt", "frames"):
        (tmp_path / name).symlink_to(tmp_path / "real" / name)
        with replacing(tmp_path / name) as temporary:
            if name == "frames":
                temporary.mkdir()
                (temporary / "0.png").touch()
            else:
                temporary.write_text("new")
        assert (tmp_path / name).is_symlink()
    assert [(tmp_path / "real" / name).read_text() for name in ("old.txt", "none.txt")] == ["new", "new"]
    assert [path.name for path in (tmp_path / "real" / "frames").iterdir()] == ["0.png"]
    assert len(list((tmp_path / "real").iterdir())) == 3


@pytest.mark.parametrize("name", ["fifo", "device", "socket", "loop", "-", "x" * 256, "é" * 128, "new/" + "x" * 256])
def test_what_is_no_file_is_refused_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("fifo")
    Path("device").symlink_to(os.devnull)
    Path("loop").symlink_to("loop")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        before = sorted(tmp_path.iterdir())
        with pytest.raises(InputError, match="cannot write") as error:
            check_writable(name)
        with pytest.raises(InputError, match="cannot write"), replacing(name):
            pytest.fail("the block must not run")
    assert "\n" not in str(error.value)
    assert sorted(tmp_path.iterdir()) == before
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


def test_a_folder_in_the_place_of_a_file_is_told_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a folder"):
        check_writable(tmp_path)
    with pytest.raises(InputError, match="is a file"):
        check_writable(tmp_path / "file", folder=True)
    check_writable(tmp_path, folder=True)
    check_writable(tmp_path / "file")
    check_writable(tmp_path / ("x" * 255))


def test_the_longest_names_can_be_written(tmp_path: Path) -> None:
    for name in ("x" * 251 + ".mpi", "é" * 127, "a." + "x" * 253):
        with replacing(tmp_path / name) as temporary:
            temporary.touch()
        assert (tmp_path / name).is_file()


# Several together, full disks


def put_two(folder: Path, fail: Callable[[], None] = lambda: None) -> None:
    with replacing_together([folder / "a.txt", folder / "b.txt"]) as temporary:
        for path in temporary:
            path.write_text("new")
        fail()


@pytest.mark.parametrize("old", [True, False])
def test_both_files_of_a_pair_or_neither(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: bool) -> None:
    """Also when the second cannot take its place once the first has."""
    if old:
        (tmp_path / "a.txt").write_text("old")

    def take_the_place_of_the_second() -> None:
        (tmp_path / "b.txt").mkdir()

    with pytest.raises(InputError, match=r"cannot write .*b\.txt"):
        put_two(tmp_path, take_the_place_of_the_second)
    assert (tmp_path / "a.txt").exists() == old
    assert not old or (tmp_path / "a.txt").read_text() == "old"
    (tmp_path / "b.txt").rmdir()
    put_two(tmp_path)
    assert sorted((path.name, path.read_text()) for path in tmp_path.iterdir()) == [("a.txt", "new"), ("b.txt", "new")]


def test_a_system_that_cannot_exchange_files_writes_them_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_exchange", lambda first, second: False)
    for _ in range(2):
        put_two(tmp_path)
        with replacing(tmp_path / "folder") as temporary:
            temporary.mkdir()
            (temporary / "frame").touch()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.txt", "b.txt", "folder", "frame"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS])
def test_a_full_disk_is_told_in_one_line_and_leaves_nothing(tmp_path: Path, number: int) -> None:
    """Nor the folders that were made for the file."""
    with (
        pytest.raises(InputError, match=r"cannot write .*new/file\.txt \(.*\): make room"),
        replacing(tmp_path / "very" / "new" / "file.txt") as temporary,
    ):
        temporary.write_text("half")
        raise OSError(number, os.strerror(number), str(temporary))
    assert list(tmp_path.iterdir()) == []


def test_other_errors_of_the_system_are_not_taken_for_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "file.txt"):
        (tmp_path / "none").read_text()


def test_a_killed_process_leaves_the_old_folder_or_the_new_one(tmp_path: Path) -> None:
    """At whatever call it is killed, while one folder replaces another."""
    code = """
import os, sys
from mine.files import replacing
count = 0
def hook(event, arguments):
    global count
    if event in ("os.rename", "os.remove", "os.rmdir", "shutil.rmtree"):
        count += 1
        if count == int(sys.argv[1]):
            os.kill(os.getpid(), 9)
with replacing("frames") as temporary:
    temporary.mkdir()
    (temporary / "new").touch()
    sys.addaudithook(hook)
"""
    for number in range(1, 9):
        folder = tmp_path / str(number)
        (folder / "frames").mkdir(parents=True)
        (folder / "frames" / "old").touch()
        ended = subprocess.run([sys.executable, "-c", code, str(number)], cwd=folder).returncode
        (name,) = (path.name for path in (folder / "frames").iterdir())
        assert name in ("old", "new")
        if ended == 0:
            break
    assert ended == 0 and name == "new" and number > 1


@pytest.mark.parametrize("kind", [RuntimeError, ValueError])
def test_a_full_disk_that_a_library_reports_in_its_own_words_is_told(kind: type[Exception], tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match=r"cannot write .*a\.exr \(No space left on device\): make room"),
        replacing(tmp_path / "a.exr"),
    ):
        raise kind("Failed to write pixel data. No space left on device.")
    with pytest.raises(kind, match="something else"), replacing(tmp_path / "a.exr"):
        raise kind("something else")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        (r"C:\holiday\out.mp4", None),
        (r"..\out.mp4", None),
        (r"\\server\share\out.mp4", None),
        ("console.mp4", None),
        ("COM10.mp4", None),
        ("12:30.mp4", "12:30.mp4"),  # a stream of the file 12
        (r"C:\a?b\out.mp4", "a?b"),
        ("nul.mp4", "device"),
        (r"C:\con\out.mp4", "device"),
        ("Lpt1", "device"),
        ("aux .tar.gz", "device"),
        ("out.mp4.", "dot"),
        (r"holiday \out.mp4", "space"),
        ("a\tb.mp4", "a\\tb.mp4"),
    ],
)
def test_names_that_windows_takes_for_something_else_are_told(path: str, fault: str | None) -> None:
    found = windows_name_fault(PureWindowsPath(path))
    assert found is None if fault is None else fault in (found or "")


def test_windows_names_are_refused_on_windows_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_writable(tmp_path / "nul.mp4")
    monkeypatch.setattr(files, "windows_name_fault", lambda path: "'nul.mp4' is a device on Windows")
    monkeypatch.setattr(files, "ON_WINDOWS", True)
    with pytest.raises(InputError, match=r"nul\.mp4.* device on Windows; give another name"):
        check_writable(tmp_path / "nul.mp4")


@pytest.mark.parametrize("folder", [False, True])
def test_names_below_a_folder_without_permission_are_refused(tmp_path: Path, folder: bool) -> None:
    (tmp_path / "closed").mkdir(mode=0o000)
    refused = r"cannot write .*closed.* \(Permission denied\)"
    with permissions_count():
        for name in ("closed/a", "closed/b/a"):
            with pytest.raises(InputError, match=refused):
                check_writable(tmp_path / name, folder)
            with pytest.raises(InputError, match=refused), replacing(tmp_path / name):
                pass


def test_names_that_no_system_has_are_refused(tmp_path: Path) -> None:
    for name in ("\ud800", "a\0b"):
        with pytest.raises(InputError, match="choose another name"):
            check_writable(tmp_path / name)
