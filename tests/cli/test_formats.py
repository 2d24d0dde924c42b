"""The options of `mine render` and `mine export` that choose formats, from the command line to the file."""

import json
import sys
from pathlib import Path

import av
import pytest
import torch
from PIL import Image

from mine.cli.main import main
from mine.scene.mpi import MPI


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small scene file."""
    path = tmp_path_factory.mktemp("scenes") / "scene.mpi"
    rgb = torch.rand(2, 3, 48, 64, generator=torch.Generator().manual_seed(0))
    K = torch.tensor([[50.0, 0, 32], [0, 50, 24], [0, 0, 1]])
    MPI(rgb, torch.full((2, 1, 48, 64), 9.0), torch.tensor([1.0, 0.4]), K).save(path)
    return path


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object) -> list[str]:
    """Runs `mine ARGUMENTS`; returns the lines on standard output."""
    monkeypatch.setattr(sys, "argv", ["mine", *map(str, arguments)])
    main()
    return capsys.readouterr().out.split()


@pytest.mark.parametrize(
    ("name", "options", "codec", "size", "count"),
    [
        ("a.webm", [], "vp9", (64, 48), 4),
        ("a.mp4", ["--codec", "hevc"], "hevc", (64, 48), 4),
        ("a.mkv", ["--codec", "av1"], "av1", (64, 48), 4),
        ("a.mov", ["--codec", "prores"], "prores", (64, 48), 4),
        ("a.apng", [], "apng", (64, 48), 4),
        ("a.mp4", ["--stereo", "sbs"], "h264", (128, 48), 4),
        ("a.mp4", ["--stereo", "over-under", "--eye-distance", "2"], "h264", (64, 96), 4),
        ("a.mp4", ["--path", "zoom+swing+line", "--easing", "in-out"], "h264", (64, 48), 4),
        ("a.mp4", ["--path", "line", "--loop"], "h264", (64, 48), 4),
        ("a.mp4", ["--focus", "near:far"], "h264", (64, 48), 4),
    ],
)
def test_videos(
    scene: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    options: list[str],
    codec: str,
    size: tuple[int, int],
    count: int,
) -> None:
    out = tmp_path / name
    written = run(monkeypatch, capsys, "render", scene, "-o", out, "--frames", 4, "--no-depth", *options)
    assert written == [str(out)] and list(tmp_path.iterdir()) == [out]
    with av.open(str(out)) as video:
        stream = video.streams.video[0]
        found = stream.codec_context.name.removeprefix("lib").replace("dav1d", "av1")
        assert found == codec and (stream.width, stream.height) == size
        assert sum(1 for _ in video.decode(stream)) == count


def test_stills(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, capsys, "render", scene, "-o", tmp_path / "a.jpg", "--stereo", "sbs")
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.size == (128, 48)
    (written,) = run(
        monkeypatch,
        capsys,
        "render",
        scene,
        "-o",
        tmp_path / "q.png",
        "--stereo",
        "quilt",
        "--quilt",
        "3x2",
        "--size",
        96,
    )
    with Image.open(written) as image:
        assert image.size == (96, 48) and "_qs3x2a1.3333" in written


def test_a_saved_path_makes_the_same_video(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for path, saved, out in (("dolly-zoom", "a.json", "a"), (tmp_path / "a.json", "b_transforms.json", "b")):
        options = ["--path", path, "--save-path", tmp_path / saved, "--no-depth"]
        frames = ["--frames", 4] if out == "a" else []
        run(monkeypatch, capsys, "render", scene, "-o", f"{tmp_path / out}/", *options, *frames)
    assert len(json.loads((tmp_path / "a.json").read_text())["camera_path"]) == 4
    assert "transform_matrix" in (tmp_path / "b_transforms.json").read_text()
    for number in range(4):
        first, second = (Image.open(tmp_path / name / f"{number:06d}.png") for name in "ab")
        assert max(high for _, high in _difference(first, second)) <= 1


def _difference(first: Image.Image, second: Image.Image) -> list[tuple[int, int]]:
    """Smallest and largest absolute difference of each channel."""
    from PIL import ImageChops

    return ImageChops.difference(first, second).getextrema()  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("name", "options"),
    [("a.glb", ["--kind", "planes"]), ("a.ply", ["--kind", "points", "--size", "32"]), ("a.zip", []), ("a.png", [])],
)
def test_exports(
    scene: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    options: list[str],
) -> None:
    assert run(monkeypatch, capsys, "export", scene, "-o", tmp_path / name, *options) == [str(tmp_path / name)]
    assert (tmp_path / name).stat().st_size > 0
