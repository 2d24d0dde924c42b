"""Files appear whole or not at all."""

from pathlib import Path

import pytest

from mine.errors import InputError
from mine.files import replacing


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
