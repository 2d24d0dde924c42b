"""What a command writes takes the place of nothing that it reads, and no file is written twice."""

import json
from pathlib import Path

import pytest
from PIL import Image

from mine.cli.main import main

KEYS = json.dumps({"frames": 2, "keys": [{"position": [0, 0, 0]}, {"position": [0.1, 0, 0]}]})

REFUSED = {
    "render photo.webp -o photo.webp": "cannot write photo.webp: it is the photo that is read",
    "render photo.webp -o ./sub/../photo.webp": "it is the photo that is read",
    "render photo.webp -o link.webp": "cannot write link.webp: it is the photo that is read",
    "render photo.webp -o hard.webp": "cannot write hard.webp: it is the photo that is read",
    "render clip-depth.gif -o clip.gif": "cannot write clip-depth.gif: it is the photo that is read",
    "render photo.webp -o photo.webp --stereo wigglegram": "it is the photo that is read",
    "render photo.webp -o photo.webp --stereo sbs": "it is the photo that is read",
    "render photo.webp -o a.gif --path keys.json --save-path keys.json": "it is the camera path keys.json that is read",
    "render frames/000000.png -o frames": "cannot write folder frames: the photo frames/000000.png is in it",
    "render photo.webp -o two.mp4": "two.mp4 and two-depth.mp4 are one file",
    "predict photo.mpi.jpg -o s.mpi --depth-map s.mpi": "cannot write s.mpi: it is the depth map that is read",
    "export photo.png -o photo.png": "cannot write photo.png: it is the photo that is read",
    "export photo.mpi -o photo.png": "cannot write photo.png: it is the scene that is read",
}


@pytest.mark.parametrize("line", REFUSED)
def test_no_input_is_overwritten(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("sub", "frames"):
        Path(folder).mkdir()
    for name in ("photo.webp", "photo.png", "clip-depth.gif", "frames/000000.png", "photo.mpi.jpg", "s.mpi"):
        Image.new("RGB", (48, 32), (9, 99, 199)).save(name, format=None if name != "s.mpi" else "PNG")
    Path("link.webp").symlink_to("photo.webp")
    Path("hard.webp").hardlink_to("photo.webp")
    Path("two-depth.mp4").symlink_to("two.mp4")
    Path("photo.mpi").symlink_to("photo.png")
    Path("keys.json").write_text(KEYS)
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    monkeypatch.setattr("sys.argv", ["mine", *line.split()])

    with pytest.raises(SystemExit) as end:
        main()

    told = capsys.readouterr().err
    assert end.value.code == 2 and told.count("\n") == 1 and REFUSED[line] in told
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before
