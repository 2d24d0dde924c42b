"""The Makefile: what it installs, and that file names reach the program as they are."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def make(folder: Path, *arguments: str) -> str:
    """What make prints for a copy of the Makefile in a folder."""
    for name in ("Makefile", "requirements.txt", "requirements-dev.txt", "pyproject.toml"):
        shutil.copy2(ROOT / name, folder)
    return subprocess.run(["make", "-C", folder, *arguments], capture_output=True, text=True, check=True).stdout


def installed(printed: str) -> list[str]:
    """The arguments of each `pip install`, in order."""
    return re.findall(r"^\.venv/bin/pip .*install (.*)$", printed, re.MULTILINE)


def test_a_build_of_pytorch_can_be_chosen(tmp_path: Path) -> None:
    pins = dict(re.findall(r"^(torch|torchvision)==(.*)$", (ROOT / "requirements.txt").read_text(), re.MULTILINE))
    chosen = f"torch=={pins['torch']} torchvision=={pins['torchvision']} --index-url https://download.pytorch.org/whl/"
    usual = installed(make(tmp_path, "-n", "setup", "TORCH="))
    assert usual == ["-r requirements.txt -r requirements-dev.txt", "--quiet --no-deps --editable ."]
    for build in ("cpu", "cu126"):
        assert installed(make(tmp_path, "-n", "setup", f"TORCH={build}")) == [chosen + build, *usual]


def test_what_is_downloaded_is_said(tmp_path: Path) -> None:
    assert "packages of 7 GB" in make(tmp_path, "-n", "setup", "TORCH=")
    assert "packages of 3 GB" in make(tmp_path, "-n", "setup", "TORCH=cpu")
    assert not re.search("pip .*--quiet.* -r", make(tmp_path, "-n", "setup", "TORCH=")), "pip shows its progress"


@pytest.mark.parametrize(
    "name",
    ["a b.jpg", 'a"b.jpg', "it's.jpg", "cost$5.jpg", "x`id`.jpg", "$(HOME).jpg", "a;b&c.jpg", "a\\b.jpg", "é点.jpg"],
)
def test_names_of_photos_and_videos_reach_the_program_as_they_are(tmp_path: Path, name: str) -> None:
    binaries = tmp_path / ".venv" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "mine").write_text("#!/bin/sh\nprintf '%s\\n' \"$@\" > arguments\n")
    (binaries / "mine").chmod(0o755)
    make(tmp_path, "-t", ".venv/.installed")
    make(tmp_path, "render", f"PHOTO={name}", f"OUT={name}.mp4", "ARGS=--path orbit")
    assert (tmp_path / "arguments").read_text().splitlines() == ["render", name, "-o", f"{name}.mp4", "--path", "orbit"]
