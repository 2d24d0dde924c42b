"""Images: only formats of photos are opened, no program is started, and what decoders raise is one line."""

import os
import struct
import subprocess
from pathlib import Path

import pytest
from PIL import Image, JpegImagePlugin

from mine.errors import InputError
from mine.inputs.images import open_image
from mine.scene.photo import read_photo

ROOT = Path(__file__).parents[2]

POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\n"


@pytest.mark.parametrize(
    "content",
    [
        POSTSCRIPT + b"{} loop\n",
        b"\xc5\xd0\xd3\xc6" + struct.pack("<IIIIIIH", 32, len(POSTSCRIPT), 0, 0, 0, 0, 0xFFFF) + bytes(2) + POSTSCRIPT,
        b"%PDF-1.4\n",
        b"\xd7\xcd\xc6\x9a" + bytes(60),
        b"DDS \x7c" + bytes(200),
        b"BLP2" + bytes(200),
    ],
)
def test_only_formats_of_photos_are_tried_and_no_program_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    def start(*arguments: object, **options: object) -> None:
        raise AssertionError("a program was started")

    for module, name in ((subprocess, "Popen"), (os, "system"), (os, "popen"), (os, "posix_spawn"), (os, "execv")):
        monkeypatch.setattr(module, name, start)
    file = tmp_path / "photo.jpg"
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"photo\.jpg is not an image") as caught:
        read_photo(file)
    assert "\n" not in str(caught.value)
    with pytest.raises(OSError), open_image(file):
        pass


def test_no_reader_opens_images_of_any_format() -> None:
    """`open_image` is the one place that opens files as images; what we wrote ourselves names its format."""
    calls = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for folder in ("mine", "demo")
        for path in (ROOT / folder).rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if "Image.open(" in line or ("imread(" in line and "rawpy.imread(" not in line)
    ]
    assert calls and not [call for call in calls if "formats=" not in call]


@pytest.mark.parametrize("raised", [NotImplementedError(), RuntimeError("x"), KeyError("tile"), ZeroDivisionError()])
@pytest.mark.parametrize("method", ["load", "convert", "draft", "thumbnail"])
def test_whatever_a_decoder_raises_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, raised: Exception
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise raised

    Image.new("CMYK", (40, 40)).save(tmp_path / "a.jpg")
    monkeypatch.setattr(Image.Image, method, fail)
    monkeypatch.setattr(JpegImagePlugin.JpegImageFile, method, fail)
    with pytest.raises(InputError, match=r"a\.jpg is damaged or cut short"):
        read_photo(tmp_path / "a.jpg")
    with pytest.raises(OSError), open_image(tmp_path / "a.jpg") as image:
        getattr(image, method)()


def test_pipes_and_devices_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    for path in (tmp_path / "pipe.jpg", Path("/dev/zero")):
        with pytest.raises(InputError, match="is a pipe or a device"):
            read_photo(path)


def test_missing_files_and_folders_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no photo at .*nowhere"):
        read_photo(tmp_path / "nowhere.jpg")
    with pytest.raises(InputError, match="folder"):
        read_photo(tmp_path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty: copy or download it again"),
        (b"\n \n", "is empty"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' width='99' height='99'/>", r"is a drawing \(SVG\): save it as PNG"),
        (b"<?xml version='1.0'?>\n<!-- made by hand -->\n<svg/>", r"is a drawing \(SVG\)"),
        (b"\n<!DOCTYPE html>\n<title>Sign in</title>", "is a web page, saved in place of the file"),
        (b"<?xml version='1.0'?><html/>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "is a pointer of Git LFS"),
        (b"hello", "is not an image but text"),
        (b'{"error": "not found"}', "is not an image but text"),
        (b"data:image/jpeg;base64,/9j/4AAQ", r"is not an image but one written as text \(base64\)"),
        (b"8BPS\0\1", "is not an image but a Photoshop document: save it as PNG or JPEG"),
        (b"%PDF-1.7\n", "is not an image but a PDF document: save its page as PNG"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "is not an image but JPEG 2000"),
        (b"PK\3\4photos", r"is not an image but an archive \(ZIP\): unpack it"),
        (b"\x1f\x8b\x08", r"is not an image but compressed \(gzip\): unpack it"),
        (b"\x1a\x45\xdf\xa3webm", "is not an image but a video"),
        (b"RIFF\0\0\0\0AVI LIST", "is not an image but a video"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF\0", "is an image that is damaged, cut short or of a rare kind"),
        (b"\xef\xbb\xbf\xff\xd8\xff\xe0", "is an image that is damaged"),
        (b"\x89PNG\r\r\n\x1a\r\n", "is an image that is damaged"),
        (b"\0\0\0\x18ftypheic", "is an image that is damaged"),
        (bytes(2000), "holds nothing but zeros: copy or download it again"),
        (b"\1\2\3\4", "is not an image in a supported format"),
    ],
)
def test_what_lies_in_place_of_a_photo_is_named(content: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(content)
    with pytest.raises(InputError, match=rf"photo\.jpg {told}"):
        read_photo(tmp_path / "photo.jpg")
