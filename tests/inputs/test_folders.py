"""Folders are walked once each, whatever links lead to; those that cannot be read are told in one line."""

import os
from pathlib import Path

import pytest
from permissions import permissions_count

from mine.errors import InputError
from mine.inputs.folders import entries, files_below, is_file


def test_each_real_folder_is_visited_once(tmp_path: Path) -> None:
    (tmp_path / "c" / "d").mkdir(parents=True)
    (tmp_path / "c" / "d" / "file").touch()
    for name in ("a", "b", "c/e", "c/d/f"):
        (tmp_path / name).symlink_to(tmp_path)
    (tmp_path / "0").symlink_to(tmp_path / "c" / "d")
    (tmp_path / "none").symlink_to(tmp_path / "nowhere")
    found = [path.relative_to(tmp_path).as_posix() for path in files_below(tmp_path)]
    assert sorted(found) == ["c/d/file", "none"]


def test_a_link_to_a_folder_elsewhere_is_followed(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "elsewhere" / "below").mkdir(parents=True)
    (tmp_path / "elsewhere" / "below" / "file").touch()
    (tmp_path / "photos" / "link").symlink_to(tmp_path / "elsewhere")
    assert list(files_below(tmp_path / "photos")) == [tmp_path / "photos" / "link" / "below" / "file"]
    assert not list(files_below(tmp_path / "photos", lambda path: path.name == "below"))


def test_the_disks_own_folder_is_no_entry(tmp_path: Path) -> None:
    for name in ("lost+found", "b", "a"):
        (tmp_path / name).mkdir()
    assert entries(tmp_path) == [tmp_path / "a", tmp_path / "b"]


def test_folders_without_permission_are_told(tmp_path: Path) -> None:
    closed = tmp_path / "photos" / "closed"
    closed.mkdir(parents=True, mode=0o000)
    with permissions_count():
        for look in (lambda: entries(closed), lambda: list(files_below(tmp_path)), lambda: is_file(closed / "a")):
            with pytest.raises(InputError, match=r"closed.* cannot be read \(Permission denied\): make it readable"):
                look()


def test_what_is_no_file_is_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    names = ("file", "pipe", ".", "nowhere", "file/below", "x" * 300, "a\0b")
    assert [is_file(tmp_path / name) for name in names] == [True] + 6 * [False]
