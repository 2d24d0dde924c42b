"""Opening of given files: regular ones alone, and one line for all others."""

import os
import socket
import threading
from pathlib import Path

import pytest

from mine.errors import InputError
from mine.inputs.files import open_input, open_regular, parsing, read_text, shown, silenced


def odd_files(folder: Path) -> list[Path]:
    """A pipe that nobody writes to, a socket, a device, a folder and a link that leads to itself."""
    os.mkfifo(folder / "pipe")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(folder / "socket"))
    server.close()
    (folder / "loop").symlink_to(folder / "loop")
    return [folder / "pipe", folder / "socket", folder / "loop", folder, Path("/dev/zero"), Path("/dev/null")]


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    for path in odd_files(tmp_path):
        with pytest.raises(OSError):
            open_regular(path)
        with pytest.raises(InputError, match="thing") as caught:
            open_input(path, "thing", "give one")
        assert str(path) in str(caught.value)
    (tmp_path / "file").write_bytes(b"content")
    with open_regular(tmp_path / "file") as file:
        assert file.read() == b"content"


def test_what_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"no thing at .*nowhere: give one"):
        open_input(tmp_path / "nowhere", "thing", "give one")
    with pytest.raises(InputError, match="no thing at"):
        open_input("a\0b", "thing", "give one")

    def refuse(*arguments: object) -> int:
        raise PermissionError(13, "Permission denied")  # root, who may run the tests, is never refused

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(InputError, match=r"thing .*file cannot be read \(Permission denied\): give one"):
        open_input(tmp_path / "file", "thing", "give one")


def test_text_is_read_up_to_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbf" + "é".encode())
    assert read_text(path, "thing", "give one", 5) == "é"
    with pytest.raises(InputError, match="has 5 bytes, more than the 4"):
        read_text(path, "thing", "give one", 4)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="cannot be read"):
        read_text(path, "thing", "give one", 5)


@pytest.mark.parametrize(
    "raised", [KeyError("a\nb"), RecursionError(), MemoryError(), ValueError("x" * 1000), OSError()]
)
def test_whatever_a_parser_raises_is_one_line(raised: Exception) -> None:
    with pytest.raises(InputError, match=r"a\.bin is broken") as caught, parsing("a.bin is broken", "copy it again"):
        raise raised
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 250


def test_shown_values_are_short() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert [shown("text"), shown([1]), shown(10**5000), shown(deep)] == ["'text'", "[1]", "a int", "a list"]
    assert len(shown("x" * 1000)) == 160


def test_silence_in_two_threads_ends_in_both() -> None:
    """The second must not take the silence of the first for what it has to restore."""
    before, told = os.fstat(2).st_ino, [threading.Event() for _ in range(3)]

    def first() -> None:
        with silenced():
            told[0].set()
            told[1].wait(0.05)
        told[2].set()

    def second() -> None:
        told[0].wait(5)
        with silenced():
            told[1].set()
            told[2].wait(5)

    threads = [threading.Thread(target=work) for work in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert os.fstat(2).st_ino == before
