"""The command line, run in this process: what it writes, and how it ends when the input is at fault."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import av
import imageio.v3 as iio
import numpy as np
import pytest
import torch
from colmap_scene import write_scene
from command import Run
from PIL import Image
from safetensors.torch import load_file, save_file

from mine.cli.main import main
from mine.data.sfm.reconstruct import Report
from mine.errors import InputError
from mine.files import check_writable
from mine.network.architecture import Architecture
from mine.scene.mpi import MPI


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    y, x = np.mgrid[0:96, 0:128]
    path = tmp_path_factory.mktemp("photos") / "photo.jpg"
    Image.fromarray(np.stack([x, y * 2, 255 - x - y], axis=-1).astype(np.uint8)).save(path, quality=95)
    return path


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small scene file."""
    generator = torch.Generator().manual_seed(0)
    K = torch.tensor([[32.0, 0, 32], [0, 32, 24], [0, 0, 1]])
    rgb = torch.rand(2, 3, 48, 64, generator=generator)
    path = tmp_path_factory.mktemp("scenes") / "scene.mpi"
    MPI(rgb, torch.full((2, 1, 48, 64), 10.0), torch.tensor([1.0, 0.2]), K).save(path)
    return path


def frames(path: Path) -> np.ndarray:
    """The frames (N, H, W, 3) of a video."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


# What commands write


def test_render_makes_a_video_and_its_depth(run: Run, folder: Path, photo: Path, tiny_checkpoint: Path) -> None:
    options = ["--frames", 3, "--size", 128, "--planes", 3, "--checkpoint", tiny_checkpoint]
    status, out, err = run("render", photo, "-o", "new/out.mp4", *options)
    assert (status, err) == (0, "")
    assert "new/out.mp4" in out
    assert "new/out-depth.mp4" in out
    assert sorted(path.name for path in (folder / "new").iterdir()) == ["out-depth.mp4", "out.mp4"]
    colour, depth = frames(folder / "new/out.mp4"), frames(folder / "new/out-depth.mp4")
    assert colour.shape == depth.shape == (3, 96, 128, 3)
    assert not np.array_equal(colour, depth)


def test_predict_render_export(run: Run, folder: Path, photo: Path, tiny_checkpoint: Path) -> None:
    status, out, _ = run("predict", photo, "-o", "a.mpi", "--planes", 3, "--fov", 53, "--checkpoint", tiny_checkpoint)
    assert status == 0
    assert "a.mpi" in out
    scene = MPI.open("a.mpi")
    assert len(scene.disparity) == 3
    assert scene.size == (96, 128)
    assert scene.K[0, 0].item() == pytest.approx(scene.plane_size[1], rel=0.01)  # 53 degrees: as far as it is wide
    assert run("render", "a.mpi", "--path", "circle", "--frames", 2, "--no-depth")[0] == 0
    assert frames(Path("out.mp4")).shape == (2, 96, 128, 3)
    assert run("export", "a.mpi", "-o", "a.html")[0] == 0
    page = Path("a.html").read_text()
    assert "<title>a</title>" in page
    content = page.split('<script type="application/json" id="scene">')[1].split("</script>")[0]
    assert json.loads(content)
    assert sorted(path.name for path in folder.iterdir()) == ["a.html", "a.mpi", "out.mp4"]


def test_render_makes_numbered_pngs_in_a_folder(run: Run, folder: Path, scene: Path) -> None:
    assert run("render", scene, "-o", "frames/", "--frames", 2)[0] == 0
    assert sorted(path.name for path in (folder / "frames").iterdir()) == ["000000.png", "000001.png"]
    assert sorted(path.name for path in (folder / "frames-depth").iterdir()) == ["000000.png", "000001.png"]
    assert iio.imread("frames/000000.png").shape == (48, 64, 3)


def test_render_follows_a_path_of_key_poses(run: Run, folder: Path, scene: Path) -> None:
    still = {"position": [0, 0, 0]}
    Path("path.JSON").write_bytes(b"\xef\xbb\xbf" + json.dumps({"keys": [still, still]}).encode())  # made on Windows
    status, _, err = run("render", scene, "-o", "still/", "--path", "path.JSON", "--frames", 3, "--no-depth")
    assert (status, err) == (0, "")
    images = [iio.imread(path) for path in sorted((folder / "still").iterdir())]
    assert len(images) == 3
    assert all(np.array_equal(image, images[0]) for image in images)


def test_a_scene_keeps_no_more_of_the_photo_than_size(run: Run, folder: Path, photo: Path) -> None:
    status, _, err = run("predict", photo, "-o", "small.mpi", "--planes", "2", "--size", "32")
    assert status == 0, err
    kept = MPI.open("small.mpi").photo
    assert kept is not None and max(kept.shape[-2:]) == 32


# Bad input


def check(run: Run, folder: Path, arguments: list[object], *expected: str) -> None:
    """Asserts that a command ends with status 2, prints one line holding `expected`, and leaves no new file."""
    before = sorted(folder.rglob("*"))
    status, out, err = run(*arguments)
    assert status == 2
    assert out == ""
    assert err.startswith("mine: ")
    assert err.count("\n") == 1, err
    for text in expected:
        assert text in err
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("command", ["render", "predict", "export"])
def test_photos_that_cannot_be_read(run: Run, folder: Path, photo: Path, command: str) -> None:
    Path("text.jpg").write_text("no image")
    Path("cut.jpg").write_bytes(photo.read_bytes()[:1000])
    Path("empty.png").touch()
    Path("folder.jpg").mkdir()
    Image.new("RGB", (1, 1)).save("dot.png")
    output = {"render": "out.mp4", "predict": "out.mpi", "export": "out.html"}[command]
    for name, expected in {
        "none.jpg": "no photo at",
        "text.jpg": "not an image",
        "cut.jpg": "cut short",
        "empty.png": "is empty",
        "folder.jpg": "is a folder",
        "dot.png": "1x1 pixels",
    }.items():
        check(run, folder, [command, name, "-o", output], name, expected)


def test_scenes_that_cannot_be_read(run: Run, folder: Path, scene: Path) -> None:
    Path("text.mpi").write_text("no scene")
    Path("cut.mpi").write_bytes(scene.read_bytes()[:1000])
    for name in ("none.mpi", "text.mpi", "cut.mpi"):
        check(run, folder, ["render", name], name)
        check(run, folder, ["export", name, "-o", "a.html"], name)
        check(run, folder, ["view", name], name)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--path", "zigzag"], "zigzag"),
        (["--path", "none.json"], "none.json"),
        (["--path", "bad.json"], "two"),
        (["--path", "still.json", "--amount", 2], "--amount"),
        (["--path", "dolly-zoom", "--amount", -2], "dolly zoom"),
        (["--frames", 0], "frames"),
        (["--frames", "abc"], "frames 'abc': give a whole number"),
        (["--fps", 0], "0"),
        (["--fps", "fast"], "fps 'fast': give a number"),
        (["--size", 20000], "size 20000 is out of range"),
        (["--planes", 4], "--planes"),
        (["--planes", 4, "--fov", 60, "--checkpoint", "file"], "--planes, --fov, --checkpoint"),
        (["--checkpoint", "none.pth"], "--checkpoint can only be given with a photo"),
        (["--amount", "nan"], "nan"),
        (["--size", 0], "size 0"),
        (["--size", -5], "size -5"),
        (["-o", "out.xyz"], "xyz"),
        (["-o", "file/out.mp4"], "cannot write"),
        (["-o", "."], "cannot write .: give the name of a file"),
        (["-o", ""], "an argument is empty"),
    ],
)
def test_videos_that_cannot_be_made(run: Run, folder: Path, scene: Path, options: list[object], expected: str) -> None:
    Path("file").touch()
    still = {"position": [0, 0, 0]}
    Path("still.json").write_text(json.dumps({"frames": 2, "keys": [still, still]}))
    Path("bad.json").write_text(json.dumps({"keys": [still]}))
    check(run, folder, ["render", scene, "--frames", 2, *options], expected)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--planes", 1], "at least 2"),
        (["--fov", 0], "field of view"),
        (["--fov", 200], "field of view"),
        (["-o", "file/a.mpi"], "cannot write"),
        (["-o", "taken"], "taken"),
        (["-o", "."], "cannot write"),
        (["-o", "scene.txt"], ".mpi"),
    ],
)
def test_predictions_that_cannot_be_made(
    run: Run, folder: Path, photo: Path, tiny_checkpoint: Path, options: list[object], expected: str
) -> None:
    Path("file").touch()
    Path("taken").mkdir()
    check(run, folder, ["predict", photo, "--planes", 2, "--checkpoint", tiny_checkpoint, *options], expected)


def test_a_photo_without_its_last_bytes_is_rendered_with_a_warning(
    run: Run, folder: Path, photo: Path, tiny_checkpoint: Path
) -> None:
    Path("cut.jpg").write_bytes(photo.read_bytes()[:-1])
    status, _, err = run("predict", "cut.jpg", "-o", "a.mpi", "--planes", 2, "--checkpoint", tiny_checkpoint)
    assert status == 0
    assert err.startswith("mine: cut.jpg breaks off before its end") and err.count("\n") == 1


def test_options_without_effect_are_told(run: Run, folder: Path, scene: Path) -> None:
    status, _, err = run("render", scene, "-o", "frames/", "--frames", 2, "--no-depth", "--size", 4000, "--fps", 12)
    assert status == 0
    assert "--size 4000 is more than the photo has: the video is 64 pixels" in err
    assert "--fps 12 has no effect" in err
    check(run, folder, ["predict", scene, "-o", "b.mpi"], "is a scene already")


def test_exports_are_as_large_as_asked_for_and_as_the_photo_is(
    run: Run, folder: Path, scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[int] = []
    predict = SimpleNamespace(predict=lambda photo, **_: SimpleNamespace(size=tuple(photo.rgb.shape[-2:])))
    monkeypatch.setattr("mine.model.load", lambda checkpoint: predict)
    monkeypatch.setattr("mine.output.export.export", lambda planes, *_: kept.append(max(planes.size)))
    Image.new("RGB", (2400, 32), "grey").save("long.png")
    told = "--size 2500 is more than the photo has: a.png has"
    assert run("export", "long.png", "-o", "a.png", "--size", 2300)[2] == ""
    assert f"{told} 2400 pixels" in run("export", "long.png", "-o", "a.png", "--size", 2500)[2]
    assert f"{told} 64 pixels" in run("export", scene, "-o", "a.png", "--size", 2500)[2]
    run("export", "long.png", "-o", "a.png")
    assert kept == [2300, 2400, 64, 2048]


def test_unknown_export_formats_are_refused(run: Run, folder: Path, scene: Path) -> None:
    check(run, folder, ["export", scene, "-o", "a.xyz"], ".xyz")
    check(run, folder, ["export", scene, "-o", "a"], "cannot export to a: use")
    check(run, folder, ["view", "a.jpg"], "no photo at a.jpg")


def test_a_photo_or_a_scene_is_viewed(
    run: Run, folder: Path, photo: Path, scene: Path, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)  # it returns None: no browser could be started
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.setattr("mine.model.shipped_checkpoint", lambda: tiny_checkpoint)
    for source in (photo, scene):
        status, out, err = run("view", source)
        page = Path(out.strip())
        assert status == 0 and page.stem == source.stem and page.is_file()
        assert err == f"mine: no browser could be started: open {page} in one\n"
        assert opened.pop() == page.as_uri()


def test_checkpoints_of_other_models(run: Run, folder: Path, photo: Path, tiny_checkpoint: Path) -> None:
    weights = load_file(tiny_checkpoint)
    shutil.copy(tiny_checkpoint, "ours.PTH")
    assert run("predict", photo, "--planes", 2, "--checkpoint", "ours.PTH")[0] == 0, "contents count, not the name"
    other = Architecture(encoder="resnet18", widths=(8, 8, 8, 8, 8), bottleneck=(8, 8)).as_dict()
    metadata = {"format": "mine.network/1", "architecture": json.dumps(other)}
    save_file(weights, "other.safetensors", metadata=metadata)
    few = {key: value for key, value in weights.items() if key.startswith("decoder")}
    save_file(few, "few.safetensors", metadata=metadata)
    save_file(few, "foreign.safetensors")
    Path("text.safetensors").write_text("no weights")
    torch.save({"weights": torch.zeros(1)}, "foreign.pth")
    for name, expected in {
        "other.safetensors": "shape",
        "few.safetensors": "lacks key",
        "foreign.safetensors": "format",
        "text.safetensors": "not a readable checkpoint",
        "foreign.pth": "not a published MINE checkpoint",
        "none.pth": "no checkpoint at",
    }.items():
        check(run, folder, ["predict", photo, "--checkpoint", name], name, expected)


@pytest.mark.parametrize("command", ["train", "eval"])
def test_configurations_that_make_no_sense(
    run: Run, folder: Path, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr("mine.model.shipped_checkpoint", lambda: tiny_checkpoint)
    Path("a.yaml").write_text("steps: [")
    Path("b.yaml").write_text("nonsense: 1")
    check(run, folder, [command, "none.yaml"], "none.yaml")
    check(run, folder, [command, "a.yaml"], "a.yaml")
    check(run, folder, [command, "b.yaml"], "nonsense")
    check(run, folder, [command, "b.yaml", "sizes=3"], "'nonsense'")


@pytest.mark.parametrize("command", ["train", "eval"])
def test_configurations_that_come_with_mine_are_found_from_any_folder(
    run: Run, folder: Path, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr("mine.model.shipped_checkpoint", lambda: tiny_checkpoint)
    name = {"train": "own.yaml", "eval": "eval-own.yaml"}[command]
    for config in (name, f"configs/{name}"):
        check(run, folder, [command, config], "no data at data/captures")
    told = run(command, "configs/none.yaml")[2]
    shown = Path(re.search("see the YAML files in (.*)", told)[1])
    assert (shown / name).is_file()


def test_captures_that_cannot_be_made(run: Run, folder: Path) -> None:
    Path("film.mp4").write_text("no video")
    Path("empty").mkdir()
    Path("grey").mkdir()
    for number in range(3):
        Image.new("RGB", (64, 48), "grey").save(f"grey/{number}.png")
    check(run, folder, ["colmap", "none", "-o", "scene"], "no folder none")
    check(run, folder, ["colmap", "empty", "-o", "scene"], "empty holds 0 pictures")
    check(run, folder, ["colmap", "film.mp4", "-o", "scene"], "film.mp4 is not a readable video")
    check(run, folder, ["colmap", "grey", "-o", "empty"], "empty exists")
    check(run, folder, ["colmap", "grey", "-o", "scene", "--fps", 2], "--fps is for videos")
    check(run, folder, ["colmap", "film.mp4", "-o", "scene", "--fps", 0], "fps 0 is out of range")
    check(run, folder, ["colmap", "grey", "-o", "scene"], "no camera could be placed")
    check(run, folder, ["colmap", "grey", "-o", "scene", "--poses", "none.txt"], "none.txt cannot be read")
    write_scene(folder / "capture", np.zeros((1, 3)))
    check(run, folder, ["colmap", "capture", "--dense", "-o", "scene", "--fps", 2], "--fps is for making a capture")
    check(run, folder, ["colmap", "capture", "--dense", "-o", "scene"], "no dense depth in capture")
    for file in (folder / "capture/sparse/0").iterdir():
        file.rename(folder / "capture/sparse" / file.name)  # where other programs put it
    check(run, folder, ["colmap", "capture", "--dense", "-o", "scene"], "no dense depth in capture")


def test_account_of_a_capture(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    account = Report(("a", "b", "c"), ("d",), 90, 0.5)
    Path("photos").mkdir()
    monkeypatch.setattr("mine.data.sfm.reconstruct.reconstruct", lambda *arguments: account)
    assert run("colmap", "photos", "-o", "scene") == (0, f"scene: {account}\n", "")


def test_unknown_options_and_values_end_with_the_same_status(run: Run, folder: Path, scene: Path) -> None:
    for arguments in (["render", scene, "--nonsense"], ["render", scene, "--frames", "many"], ["nonsense"], ["render"]):
        status, _, err = run(*arguments)
        assert status == 2
        assert "Traceback" not in err
    assert list(folder.iterdir()) == []


def test_debug_shows_where_an_error_arose(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["mine", "render", "none.jpg", "--debug"])
    with pytest.raises(InputError, match=r"none\.jpg"):
        main()


def test_stopping_ends_quietly(run: Run, folder: Path, scene: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mine.output.video.render_video", stop)
    status, out, err = run("render", scene)
    assert (status, out) == (130, "")
    assert "Traceback" not in err


def test_the_program_itself(folder: Path) -> None:
    code = "from mine.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", code, "predict", "none.jpg"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "mine: no photo at none.jpg: check the name\n"


def test_a_file_in_the_place_of_a_folder_is_reported_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is not a folder that can be written"):
        check_writable(tmp_path / "file" / "deeper" / "out.mp4")
