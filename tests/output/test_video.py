"""Videos, read back: their frames, timing and colours; failures leave no file behind."""

import math
import os
from pathlib import Path

import av
import imageio.v3 as iio
import numpy as np
import pytest
import torch
from frame_writer import frame_writer
from permissions import permissions_count
from PIL import Image, ImageSequence
from torch import Tensor

from mine.errors import InputError
from mine.output import camera_paths as paths
from mine.output.framing import zoom_intrinsics
from mine.output.video import default_size, render_path, render_video
from mine.output.writers import ENCODERS, _ffmpeg_command, check_output
from mine.scene.mpi import MPI

pytestmark = pytest.mark.usefixtures("reference_renderer")  # these tests are about files, not kernels


def scene_of(
    size: tuple[int, int] = (48, 64), depths: tuple[float, ...] = (1.0, 4.0), colour: Tensor | None = None
) -> MPI:
    """A foreground square on the first plane, before an opaque background on the last."""
    height, width = size
    sigma = torch.zeros(len(depths), 1, height, width)
    sigma[-1] = 1e4
    sigma[0, :, height // 3 : 2 * height // 3, width // 3 : 2 * width // 3] = 1e4
    rgb = torch.rand(len(depths), 3, height, width) if colour is None else colour.expand(len(depths), 3, height, width)
    K = torch.tensor([[width / 2, 0, width / 2], [0, width / 2, height / 2], [0, 0, 1]])
    return MPI(rgb, sigma, 1 / torch.tensor(depths), K)


def decode(file: Path) -> tuple[np.ndarray, av.VideoStream]:
    with av.open(str(file)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        return np.stack(frames), stream


@pytest.mark.parametrize("extension", [".mp4", ".m4v", ".mov"])
def test_video_holds_every_frame_as_players_want_it(tmp_path: Path, extension: str) -> None:
    out = tmp_path / f"clip{extension}"
    render_video(scene_of(), paths.swing(frames=11), out, fps=25)
    with av.open(str(out)) as container:
        stream = container.streams.video[0]
        codec = stream.codec_context
        assert (codec.name, codec.pix_fmt, codec.width, codec.height) == ("h264", "yuv420p", 64, 48)
        assert (codec.colorspace, codec.color_primaries, codec.color_trc, codec.color_range) == (1, 1, 1, 1), (
            "BT.709, tv"
        )
        assert stream.average_rate == 25
        assert float(stream.duration * stream.time_base) == pytest.approx(11 / 25, abs=1e-3)
        assert sum(1 for _ in container.decode(stream)) == 11
    data = out.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat"), "playable before it is fully loaded"
    assert os.listdir(tmp_path) == [out.name]


@pytest.mark.parametrize("colour", [[0.9, 0.2, 0.1], [0.1, 0.8, 0.2], [0.2, 0.1, 0.9], [0.5, 0.5, 0.5]])
def test_colours_survive(tmp_path: Path, colour: list[float]) -> None:
    """BT.601 read as BT.709, or a wrong range, would be off by 10 or more."""
    out = tmp_path / "clip.mp4"
    render_video(scene_of(colour=torch.tensor(colour)[:, None, None]), torch.eye(4), out)
    with av.open(str(out)) as container:
        frame = next(container.decode(video=0))
        seen = frame.to_ndarray(format="rgb24", src_colorspace="ITU709", dst_colorspace="ITU709").mean(axis=(0, 1))
    np.testing.assert_allclose(seen, 255 * np.array(colour), atol=3)


def test_frames_come_in_the_order_of_the_path(tmp_path: Path) -> None:
    """A path that moves steadily to the right shifts a bright foreground square steadily to the left."""
    scene = scene_of(colour=torch.zeros(3, 1, 1))
    rgb = scene.rgb.clone()
    rgb[0] = 1
    scene = MPI(rgb, scene.sigma, scene.disparity, scene.K)
    out = tmp_path / "clip.mp4"
    render_video(scene, paths.line(frames=9, amount=3), out, crop=False)
    frames, _ = decode(out)
    brightness = frames.astype(float).mean(axis=(1, 3))
    middle = (brightness * np.arange(64)).sum(axis=1) / brightness.sum(axis=1)
    assert (np.diff(middle) < -0.2).all()


def test_gif_and_webp_loop_with_all_frames(tmp_path: Path) -> None:
    for name in ("clip.gif", "clip.webp"):
        render_video(scene_of(), paths.line(frames=6), tmp_path / name, fps=10)
        with Image.open(tmp_path / name) as image:
            assert (image.size, image.n_frames, image.info["loop"]) == ((64, 48), 6, 0), name
            duration = 0
            for number in range(image.n_frames):
                image.seek(number)
                image.load()
                duration += image.info["duration"]
            assert duration == 600, name


@pytest.mark.parametrize("fps", [12, 30, 50])
def test_gifs_last_as_long_as_asked_for(tmp_path: Path, fps: float) -> None:
    render_video(scene_of(), paths.swing(frames=12), tmp_path / "a.gif", fps, size=(16, 16))
    with Image.open(tmp_path / "a.gif") as image:
        frames = [frame.info["duration"] for frame in ImageSequence.Iterator(image)]
    assert sum(frames) == pytest.approx(12 / fps * 1000, abs=10)


def test_gif_colours_are_close(tmp_path: Path) -> None:
    ramp = torch.stack(torch.meshgrid(torch.linspace(0, 1, 48), torch.linspace(0, 1, 64), indexing="ij"))
    colour = torch.cat([ramp, 1 - ramp[:1]])
    render_video(scene_of(colour=colour), torch.eye(4).repeat(2, 1, 1), tmp_path / "clip.gif", crop=False)
    with Image.open(tmp_path / "clip.gif") as image:
        seen = torch.from_numpy(np.array(image.convert("RGB"))).movedim(2, 0) / 255
    blurred = torch.nn.functional.avg_pool2d(seen - colour, 8)
    assert blurred.abs().max() < 0.04, "dithering errors average out"


@pytest.mark.parametrize("name", ["frames", "frames.d/"])
def test_folder_of_pngs(tmp_path: Path, name: str) -> None:
    scene, path = scene_of(), paths.swing(frames=3)
    for _ in range(2):  # the second run replaces the first
        render_video(scene, path, f"{tmp_path}/{name}", crop=False)
    assert sorted(os.listdir(tmp_path / name)) == ["000000.png", "000001.png", "000002.png"]
    expected = scene.render(path[1]).rgb[0]
    seen = torch.from_numpy(iio.imread(tmp_path / name / "000001.png")).movedim(2, 0) / 255
    assert (seen - expected).abs().max() <= 0.5 / 255 + 1e-6


def test_depth_video_is_coloured_with_one_scale(tmp_path: Path) -> None:
    """Behind the fixed square the background's depth changes with every frame of a zoom, its colour with it."""
    out = tmp_path / "depth.mp4"
    render_video(scene_of(), torch.eye(4).repeat(4, 1, 1), tmp_path / "clip.mp4", depth=out, crop=False)
    frames, stream = decode(out)
    assert len(frames) == 4 and stream.codec_context.width == 64
    square, background = frames[0, 20:28, 26:38].mean(), frames[0, 2:10].mean()
    assert square > 120 and background < 30, "near is bright, far is dark"


def test_depth_folder_holds_exact_disparity(tmp_path: Path) -> None:
    scene = scene_of()
    render_video(scene, paths.zoom(frames=4), tmp_path / "clip.mp4", depth=tmp_path / "depth", crop=False)
    with Image.open(tmp_path / "depth" / "000002.png") as image:
        assert image.mode == "I;16"
        disparity = np.asarray(image) / 65535 * float(image.text["largest_disparity"])
    expected = 1 / scene.render(paths.zoom(frames=4)[2]).depth[0, 0].numpy()
    np.testing.assert_allclose(disparity, expected, atol=1e-4)
    assert len(list((tmp_path / "depth").iterdir())) == 4


def test_a_path_with_focal_lengths_zooms(tmp_path: Path) -> None:
    scene = scene_of()
    path = paths.CameraPath(torch.eye(4).repeat(2, 1, 1), torch.tensor([1.0, 2.0]))
    first, second = torch.cat([view.rgb for view in render_path(scene, path, crop=False)])
    torch.testing.assert_close(first, scene.render(torch.eye(4)).rgb[0])
    K = zoom_intrinsics(scene.K, torch.tensor([2.0]))
    assert K[0, 0, 0] == 2 * scene.K[0, 0] and K[0, 0, 2] == scene.K[0, 2]
    torch.testing.assert_close(second, scene.render(torch.eye(4), K).rgb[0])


def test_sizes() -> None:
    assert default_size((769, 1025)) == (768, 1024)
    assert default_size((4000, 3000)) == (1920, 1440)
    assert default_size((3000, 4000), 640) == (480, 640)
    for longest in (2, 3, 101, 1003, 1919):
        for size in ((longest - 1, longest), (longest, longest), (3 * longest, 2 * longest)):
            assert max(default_size(size, longest)) <= longest, "even sides, and none above an odd limit"


def test_size_and_progress_are_honoured(tmp_path: Path) -> None:
    fractions: list[float] = []
    render_video(scene_of(), paths.swing(frames=5), tmp_path / "clip.mp4", size=(32, 40), progress=fractions.append)
    assert decode(tmp_path / "clip.mp4")[0].shape == (5, 32, 40, 3)
    assert fractions == sorted(fractions) and fractions[-1] == 1


# Bad input and failures


@pytest.mark.parametrize(
    ("out", "options", "message"),
    [
        ("clip.avi", {}, "avi"),
        ("clip.mp4", {"fps": 0}, "fps 0"),
        ("clip.mp4", {"fps": float("nan")}, "fps nan"),
        ("clip.gif", {"fps": 60}, "fps 60 is more than .gif holds: give at most 50, or write .webp, .apng or .mp4"),
        ("clip.mp4", {"size": (31, 40)}, "even"),
        ("clip.gif", {"size": (16000, 16000)}, r"2 frames of 16000x16000 pixels are too many .* at most 1, .* .webp"),
        ("clip.mp4", {"size": (8, 40), "codec": "hevc"}, "hevc video cannot be 40x8: give at least 16 pixels a side"),
        ("clip.webm", {"size": (40, 14), "codec": "av1"}, "av1 video cannot be 14x40"),
        ("clip.mp4", {"depth": "depth.xyz"}, "xyz"),
        ("folder.mp4", {}, "is a folder"),
        ("file/clip.mp4", {}, "cannot write"),
        ("file", {}, "is a file"),
        ("photos", {}, "other files"),
    ],
)
def test_bad_output_is_refused_before_rendering(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str, options: dict[str, object], message: str
) -> None:
    monkeypatch.setattr("mine.output.video.render_path", lambda *args: pytest.fail("rendered"))
    monkeypatch.chdir(tmp_path)
    Path("folder.mp4").mkdir()
    Path("file").touch()
    Path("photos").mkdir()
    Path("photos/mine.jpg").touch()
    with pytest.raises(InputError, match=message) as caught:
        render_video(scene_of(), paths.swing(frames=2), out, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert sorted(os.listdir()) == ["file", "folder.mp4", "photos"] and os.listdir("photos") == ["mine.jpg"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (torch.full((2, 4, 4), float("nan")), "not finite"),
        (torch.eye(3), "pose has shape"),
        (torch.zeros(0, 4, 4), "no poses"),
        (paths.CameraPath(torch.eye(4)[None], torch.tensor([0.0])), "focal"),
        (paths.CameraPath(torch.eye(4)[None], torch.ones(2)), "focal"),
        (paths.CameraPath(torch.eye(4)[None], torch.ones(1), torch.zeros(1)), "shifts"),
        (paths.CameraPath(torch.eye(4)[None], torch.ones(1), torch.full((1, 2), math.nan)), "shifts"),
    ],
)
def test_bad_paths_are_refused(tmp_path: Path, path: Tensor | paths.CameraPath, message: str) -> None:
    with pytest.raises(InputError, match=message):
        render_video(scene_of(), path, tmp_path / "clip.mp4")
    assert os.listdir(tmp_path) == []


def test_colour_and_depth_need_different_names(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="different names"):
        render_video(scene_of(), torch.eye(4), tmp_path / "a.mp4", depth=tmp_path / "." / "a.mp4")


@pytest.mark.parametrize("out", ["clip.mp4", "clip.gif", "frames"])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_stopped_run_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str, error: type[BaseException]
) -> None:
    scene, path = scene_of(), paths.swing(frames=6)
    monkeypatch.setattr("mine.output.video.CHUNK_PIXELS", 1)

    def stop(fraction: float) -> None:
        if fraction > 0.5:
            raise error

    with pytest.raises(error):
        render_video(scene, path, tmp_path / out, depth=tmp_path / "depth.mp4", progress=stop)
    assert os.listdir(tmp_path) == []


def test_a_failing_run_keeps_the_old_file(tmp_path: Path) -> None:
    out = tmp_path / "clip.mp4"
    out.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError):
        render_video(scene_of(), paths.swing(frames=3), out, progress=lambda fraction: 1 / 0)
    assert out.read_bytes() == b"old" and os.listdir(tmp_path) == ["clip.mp4"]


def test_a_failing_encoder_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a full disk looks like: the encoder ends early. The message names the right file of the two."""
    broken = ["-c:v", "libx264", "-crf", "nonsense", "-f", "mp4"]
    monkeypatch.setitem(ENCODERS, ".mov", broken)
    with pytest.raises(InputError, match=r"clip\.mov") as caught:
        render_video(scene_of((480, 640)), paths.swing(frames=8), tmp_path / "clip.mov", depth=tmp_path / "d.mp4")
    assert "\n" not in str(caught.value) and os.listdir(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "mine.output.writers._ffmpeg_command",
        lambda path, size, fps, codec: [*_ffmpeg_command(path, size, fps)[:-1], "/dev/full"],
    )
    with pytest.raises(InputError, match="disk full"), frame_writer(tmp_path / "clip.mp4", (480, 640)) as write:
        for _ in range(3):
            write(np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8))
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("full", ["clip", "depth"])
def test_both_videos_or_neither(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: str) -> None:
    """When one of them cannot be finished after all frames were written: the old ones stay."""

    def command(path: Path, size: tuple[int, int], fps: float, codec: str | None) -> list[str]:
        whole = _ffmpeg_command(path, size, fps)
        return [*whole[:-1], "/dev/full"] if full in path.name else whole

    for name in ("clip.mp4", "depth.mp4"):
        (tmp_path / name).write_text("old")
    monkeypatch.setattr("mine.output.writers._ffmpeg_command", command)
    with pytest.raises(InputError, match=rf"{full}\.mp4 .*disk full"):
        render_video(scene_of(), paths.swing(frames=2), tmp_path / "clip.mp4", depth=tmp_path / "depth.mp4")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"clip.mp4": "old", "depth.mp4": "old"}


@pytest.mark.parametrize(
    "name",
    [
        "12:30 sunset.mp4",
        "a:b.gif",
        "file:x.mp4",
        "100%.mp4",
        "a%03d.webp",
        "-x.mp4",
        'it\'s "q".mp4',
        "é 日本.MP4",
        "%d/",
    ],
)
def test_names_are_only_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Colons are no protocols, percent signs no patterns, leading dashes no options."""
    monkeypatch.chdir(tmp_path)
    with frame_writer(name, (16, 16)) as write:
        for _ in range(2):
            write(np.zeros((16, 16, 3), np.uint8))
    assert os.listdir() == [name.rstrip("/")]
    if name.endswith("/"):
        assert sorted(os.listdir(name)) == ["000000.png", "000001.png"]
    else:
        assert os.path.getsize(name) > 0


def test_a_folder_of_frames_may_hold_what_systems_put_there(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    for name in ("000000.png", "000009.png", "._000000.png", ".DS_Store"):
        (tmp_path / "real" / name).touch()
    (tmp_path / "link").symlink_to("real")
    with frame_writer(tmp_path / "link", (16, 16)) as write:
        write(np.zeros((16, 16, 3), np.uint8))
        assert len(os.listdir(tmp_path / "real")) == 4, "old frames stay until the new ones are whole"
    assert os.listdir(tmp_path / "real") == ["000000.png"]
    assert sorted(os.listdir(tmp_path)) == ["link", "real"] and (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("name", ["².png", "-1.png", "1.jpg", f"{10**20}.png"])
def test_a_folder_with_other_pictures_is_not_replaced(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(InputError, match="holds other files"):
        check_output(tmp_path, (2, 2), 30)


def test_a_folder_without_permission_is_told(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir(mode=0o000)
    with permissions_count(), pytest.raises(InputError, match=r"frames cannot be read \(Permission denied\)"):
        check_output(tmp_path / "frames", (2, 2), 30)


def test_a_mounted_folder_is_refused_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another folder cannot take its place."""
    monkeypatch.setattr(os.path, "ismount", lambda path: path == tmp_path)
    with pytest.raises(InputError, match="disk is mounted"):
        check_output(tmp_path, (2, 2), 30)
    check_output(tmp_path / "frames", (2, 2), 30)
