"""Stereo pairs: where near and far things appear to each eye, and which files are written."""

import math
import struct
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from mine import paths
from mine.errors import InputError
from mine.output.camera_paths import PIVOT, CameraPath
from mine.output.spherical import _box, _boxes, insert_in_video_entry
from mine.output.stereo import MAX_BASELINE, eye_baseline, eye_path, render_stereo, wiggle_path
from mine.output.stereo_layouts import anaglyph, dubois
from mine.output.video import render_path
from mine.output.vr180 import HalfSphere
from mine.render import View
from mine.scene.depth import near_depth
from mine.scene.mpi import MPI

pytestmark = pytest.mark.usefixtures("reference_renderer")  # these tests are about stereo, not kernels


def stereo_pair(scene: MPI, baseline: float | None = None) -> View:
    """Views of the left and the right eye, zoomed in as videos are."""
    near = near_depth(scene)
    both = eye_path(CameraPath.of(torch.eye(4)[None]), eye_baseline(scene, near, baseline, None), PIVOT * near)
    return View(*(torch.cat(parts) for parts in zip(*render_path(scene, both, scene.size), strict=True)))


def dot_at(depth: float) -> MPI:
    """A dark wall at `depth` with a bright dot in the middle."""
    sigma = torch.full((2, 1, 63, 95), 1e5)
    rgb = torch.zeros(2, 3, 63, 95)
    rgb[:, :, 28:35, 44:51] = 1
    K = torch.tensor([[60.0, 0, 47], [0, 60, 31], [0, 0, 1]])
    return MPI(rgb, sigma, torch.tensor([1 / depth, 1 / depth / 1000]), K)


def column_of_dot(rgb: Tensor) -> Tensor:
    """Mean column (N,) of the brightness in images (N, 3, H, W)."""
    brightness = rgb.mean(dim=(1, 2))
    return (brightness * torch.arange(brightness.shape[-1])).sum(-1) / brightness.sum(-1)


def test_near_things_appear_in_front_of_the_screen_without_vertical_disparity() -> None:
    """A wall at the near depth: the left eye sees it f b (1/near - 1/pivot) right of where the right eye does."""
    view = stereo_pair(dot_at(2.0), baseline=0.2)
    left, right = column_of_dot(view.rgb)
    zoom = (left - right).item() / (60 * 0.2 * (1 - 1 / PIVOT))
    assert 1 <= zoom < 1.15, "nothing but the crop's zoom changes the disparity"
    rows = (view.rgb.mean(dim=(1, 3)) * torch.arange(63)).sum(-1) / view.rgb.mean(dim=(1, 3)).sum(-1)
    assert (rows - 31).abs().max() < 0.05, "no vertical disparity"


def test_borders_are_covered() -> None:
    scene = dot_at(1.0)
    rgb = torch.zeros_like(scene.rgb)
    rgb[:, 0, :, 0] = rgb[:, 0, :, -1] = 1
    red = stereo_pair(MPI(rgb, scene.sigma, scene.disparity, scene.K), baseline=0.2).rgb[:, 0].sum(dim=(1, 2))
    assert (red <= 63 * 1.5 * 1.15).all(), (
        "a column and the half a pixel beyond it, zoomed in; a streak would be three more"
    )


def test_anaglyph_gives_each_eye_its_image() -> None:
    left, right = torch.rand(3, 8, 8), torch.rand(3, 8, 8)
    image = anaglyph(left, right)
    torch.testing.assert_close(image[1:], right[1:])
    assert (anaglyph(left, 1 - right)[0] == image[0]).all() and not (anaglyph(1 - left, right)[0] == image[0]).any()
    torch.testing.assert_close(anaglyph(*[torch.full((3, 8, 8), 0.5)] * 2), torch.full((3, 8, 8), 0.5))


def test_images_are_written_in_each_layout(tmp_path: Path) -> None:
    scene = dot_at(2.0)
    left, right = (stereo_pair(scene).rgb * 255).round().to(torch.uint8)
    for layout, halves in (("side-by-side", (left, right)), ("cross-eyed", (right, left))):
        render_stereo(scene, tmp_path / "a.png", layout)  # type: ignore[arg-type]
        with Image.open(tmp_path / "a.png") as image:
            assert image.size == (190, 63)
            assert image.tobytes() == torch.cat(halves, dim=2).movedim(0, 2).contiguous().numpy().tobytes()
    render_stereo(scene, tmp_path / "a.jpg", "anaglyph")
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.size == (95, 63)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layout": "upside-down"}, "upside-down"),
        ({"baseline": 0}, "baseline 0"),
        ({"baseline": float("nan")}, "baseline nan"),
        ({"out": "a.xyz"}, "xyz"),
        ({"size": 0}, "size 0 is out of range"),
        ({"size": -5}, "size -5"),
        ({"size": 40.5, "out": "a.mp4"}, "size 40.5"),
        ({"size": 1, "layout": "quilt"}, "size 1"),
        ({"fps": 0, "out": "a.mp4"}, "fps 0"),
        ({"fps": 60, "out": "a.gif", "layout": "wigglegram"}, "fps 60"),
        ({"codec": "prores", "out": "a.mp4"}, "prores"),
    ],
)
def test_bad_arguments_are_refused_before_rendering(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, object], message: str
) -> None:
    monkeypatch.setattr("mine.output.stereo.render_path", lambda *args: pytest.fail("rendered"))
    out = tmp_path / str(options.pop("out", "a.png"))
    with pytest.raises(InputError, match=message):
        render_stereo(dot_at(2.0), out, **options)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("layout", ["anaglyph", "dubois"])
@pytest.mark.parametrize("ending", [".jpg", ".jpeg", ".webp"])
def test_stills_keep_colours_that_tell_the_eyes_apart(tmp_path: Path, layout: str, ending: str) -> None:
    """JPEG and WebP would store colours at half resolution, which is an error several times as large."""
    out = tmp_path / f"a{ending}"
    render_stereo(textured(), tmp_path / "exact.png", layout)
    render_stereo(textured(), out, layout)
    assert (pixels(out) - pixels(tmp_path / "exact.png")).square().mean().sqrt() < 5


@pytest.mark.parametrize(("layout", "name"), [("sbs", "a.png"), ("quilt", "a.png"), ("vr180", "a.jpg")])
def test_progress_is_told_for_stills(tmp_path: Path, layout: str, name: str) -> None:
    seen: list[float] = []
    render_stereo(textured(), tmp_path / name, layout, size=64, progress=seen.append)
    assert seen == [1]


def textured(depth: float = 2.0) -> MPI:
    """A wall of noise at `depth`."""
    rgb = torch.rand(2, 3, 48, 64, generator=torch.Generator().manual_seed(0))
    K = torch.tensor([[40.0, 0, 32], [0, 40, 24], [0, 0, 1]])
    return MPI(rgb, torch.full((2, 1, 48, 64), 1e5), torch.tensor([1 / depth, 1 / depth / 1000]), K)


def pixels(path: Path) -> Tensor:
    """An image file as (3, H, W) in [0, 255]."""
    with Image.open(path) as image:
        return torch.from_numpy(np.array(image.convert("RGB"))).movedim(-1, 0).float()


def test_layouts_hold_both_views_where_they_belong(tmp_path: Path) -> None:
    scene = textured()
    left, right = (stereo_pair(scene).rgb * 255).round()
    render_stereo(scene, tmp_path / "a.png", "sbs")
    assert torch.equal(pixels(tmp_path / "a.png"), torch.cat([left, right], dim=2))
    render_stereo(scene, tmp_path / "a.png", "over-under")
    assert torch.equal(pixels(tmp_path / "a.png"), torch.cat([left, right], dim=1))
    render_stereo(scene, tmp_path / "a.png", "half-sbs")
    halves = pixels(tmp_path / "a.png")
    assert halves.shape == (3, 48, 64)
    squeezed = F.interpolate(left[None], (48, 32), mode="bilinear", antialias=True)[0]
    assert (halves[..., :32] - squeezed).abs().max() <= 1


def test_grey_views_stay_grey_for_dubois() -> None:
    """Rows of both matrices sum to 1 within rounding: what both eyes see alike keeps its colour."""
    grey = torch.full((3, 4, 4), 0.5)
    assert (dubois(grey, grey) - 0.5).abs().max() < 0.01
    assert dubois(grey, 0 * grey)[0].mean() > 0.5 * dubois(grey, grey)[0].mean(), "red is for the left eye"


@pytest.mark.parametrize("percent", [1.0, 3.0])
def test_eye_distance_is_the_disparity_between_near_and_far(percent: float) -> None:
    """A scene whose left half is at depth 1 and whose right half is at depth 2."""
    sigma = torch.zeros(2, 1, 48, 64)
    sigma[0, :, :, :32] = 1e5
    sigma[1] = 1e5
    K = torch.tensor([[40.0, 0, 32], [0, 40, 24], [0, 0, 1]])
    scene = MPI(torch.rand(2, 3, 48, 64), sigma, torch.tensor([1.0, 0.5]), K)
    baseline = eye_baseline(scene, 1.0, None, percent)
    assert 40 * baseline * (1 / 1 - 1 / 2) / 64 * 100 == pytest.approx(percent, rel=0.01)


@pytest.mark.parametrize("focal", [0.4, 0.8, 1.4, 3.0, 8.0])
def test_eyes_of_long_lenses_are_as_far_apart_in_pixels_as_those_of_a_normal_one(focal: float) -> None:
    scene = textured()
    K = torch.tensor([[focal * scene.size[1], 0, 10], [0, focal * scene.size[1], 8], [0, 0, 1]])
    scene = MPI(scene.rgb, scene.sigma, scene.disparity, K)
    baseline = eye_baseline(scene, 2.0, None, None)
    assert focal * baseline / 2.0 == pytest.approx(0.05 * min(focal, 1.4))
    assert eye_baseline(scene, 2.0, 0.05, None) == pytest.approx(0.1), "what is asked for stays"


def test_a_flat_scene_keeps_the_eyes_close() -> None:
    assert eye_baseline(textured(), 2.0, None, 10) == pytest.approx(2 * MAX_BASELINE)


def test_eyes_go_with_the_camera() -> None:
    """Both eyes are half the distance beside each pose, and see the pivot at the same place."""
    poses = torch.eye(4).repeat(3, 1, 1)
    poses[:, 2, 3] = torch.tensor([0.0, -0.2, 0.3])
    poses[1, :3, :3] = torch.tensor([[0.8, 0, 0.6], [0, 1, 0], [-0.6, 0, 0.8]])
    both = eye_path(CameraPath.of(poses), 0.1, pivot=2.0)
    assert both.shift is not None and len(both.poses) == 6
    centres = torch.linalg.inv(both.poses)[:, :3, 3]
    middle = torch.linalg.inv(poses)[:, :3, 3]
    right = torch.linalg.inv(poses)[:, :3, 0]
    torch.testing.assert_close(centres[0::2], middle - 0.05 * right)
    torch.testing.assert_close(centres[1::2], middle + 0.05 * right)
    distance = 2.0 + poses[:, 2, 3]
    for eye, place in ((0, -0.05), (1, 0.05)):  # a point in front of the camera, at the pivot's distance
        x = (0.3 - place) / distance + both.shift[eye::2, 0]
        torch.testing.assert_close(x, 0.3 / distance)


def test_quilts_go_from_the_lower_left_to_the_upper_right(tmp_path: Path) -> None:
    """A near dot moves left as the camera moves right: tile by tile along each row, and row by row upwards."""
    written = render_stereo(dot_at(1.0), tmp_path / "a.png", "quilt", quilt=(3, 2), size=95 * 3)
    assert written == tmp_path / "a_qs3x2a1.5079.png" and list(tmp_path.iterdir()) == [written]
    image = pixels(written)
    assert image.shape == (3, 126, 285)
    tiles = image.unflatten(2, (3, 95)).unflatten(1, (2, 63)).permute(1, 3, 0, 2, 4)
    order = torch.cat([tiles[1], tiles[0]])  # the lower row first
    columns = column_of_dot(order)
    assert (columns.diff() < -0.2).all()
    assert render_stereo(dot_at(1.0), written, "quilt", quilt=(2, 2), size=190).name == "a_qs2x2a1.5079.png"


def test_wigglegrams_go_there_and_back(tmp_path: Path) -> None:
    path = wiggle_path(0.1, 2.0)
    offsets = -path.poses[:, 0, 3]
    torch.testing.assert_close(offsets, torch.tensor([-3, -1, 1, 3, 1, -1]) * 0.05 / 3)
    for ending, kind in ((".gif", "GIF"), (".webp", "WEBP"), (".apng", "PNG")):
        render_stereo(dot_at(2.0), tmp_path / f"a{ending}", "wigglegram")
        with Image.open(tmp_path / f"a{ending}") as image:
            assert image.format == kind and image.n_frames == 6  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("layout", "name", "size", "mode"),
    [
        ("sbs", "a.mp4", (128, 48), 2),
        ("half-sbs", "a.mov", (64, 48), 2),
        ("over-under", "a.mp4", (64, 96), 1),
        ("dubois", "a.webm", (64, 48), None),
    ],
)
def test_videos_say_how_they_are_laid_out(
    tmp_path: Path, layout: str, name: str, size: tuple[int, int], mode: int | None
) -> None:
    poses = torch.eye(4).repeat(5, 1, 1)
    render_stereo(textured(), tmp_path / name, layout, path=poses)
    with av.open(str(tmp_path / name)) as video:
        frames = list(video.decode(video=0))
        assert len(frames) == 5 and (frames[0].width, frames[0].height) == size
    data = (tmp_path / name).read_bytes()
    assert (b"st3d" in data) == (mode is not None)
    if mode is not None:
        assert data[data.index(b"st3d") + 8] == mode


def test_vr180_shows_things_at_their_angles(tmp_path: Path) -> None:
    """A dot on the optical axis is in the middle of both halves, and the photo covers its field of view."""
    render_stereo(dot_at(2.0), tmp_path / "a.png", "vr180", baseline=1e-6, size=360)
    image = pixels(tmp_path / "a.png")
    assert image.shape == (3, 360, 720)
    for half in (image[..., :360], image[..., 360:]):
        assert column_of_dot(half[None])[0] == pytest.approx(179.5, abs=0.6)
    ones = HalfSphere(dot_at(2.0), 360).project(torch.ones(3, *HalfSphere(dot_at(2.0), 360).view_size))
    shown = (ones[0] > 128).any(0).sum()
    # 95 pixels of focal length 60: 76.8 degrees, at two pixels a degree; the faded border takes off some.
    assert 2 * 76.8 * 0.9 < shown < 2 * 76.8
    assert ones[0, 180, 180] == 255


@pytest.mark.parametrize("moving", [paths.swing, paths.dolly_zoom])
def test_vr180_shows_things_at_infinity_where_they_are_while_the_camera_moves(
    tmp_path: Path, moving: Callable[..., Tensor | CameraPath]
) -> None:
    """Neither off-axis projection nor focal lengths count: a headset shows true angles."""
    sphere = []
    for path in (torch.eye(4).repeat(4, 1, 1), moving(frames=4)):
        render_stereo(dot_at(1e5), tmp_path / "a.mp4", "vr180", path=path, size=180)
        with av.open(str(tmp_path / "a.mp4")) as video:
            frames = [torch.from_numpy(frame.to_ndarray(format="rgb24")) for frame in video.decode(video=0)]
        sphere.append(frames[1].movedim(-1, 0)[None, ..., :180].float())
    still, moved = (float(column_of_dot(image)[0]) for image in sphere)
    assert moved == pytest.approx(still, abs=0.05)


def test_vr180_shows_true_angles_of_skewed_pixels() -> None:
    scene, K = dot_at(2.0), torch.tensor([[60.0, 30, 47], [0, 60, 31], [0, 0, 1]])
    half = HalfSphere(MPI(scene.rgb, scene.sigma, scene.disparity, K), 360)
    height, width = half.view_size
    columns = torch.linspace(0.5 / width, 1 - 0.5 / width, width).expand(3, height, width)
    angle = math.radians(10 + 0.25)  # of the pixel's centre, to the right and down
    u = 60 * math.tan(angle) + 30 * math.tan(angle) / math.cos(angle) + 47
    assert float(half.project(columns)[0, 200, 200]) / 255 == pytest.approx((u + 0.5) / 95, abs=0.01)


def test_vr180_of_a_photo_narrower_than_a_pixel_is_refused() -> None:
    scene = dot_at(2.0)
    K = torch.tensor([[1e5, 0, 47], [0, 1e5, 31], [0, 0, 1]])
    with pytest.raises(InputError, match="larger size or field of view"):
        HalfSphere(MPI(scene.rgb, scene.sigma, scene.disparity, K), 180)


def test_a_vr180_still_does_not_claim_to_be_one_sphere(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.webp"):
        render_stereo(dot_at(2.0), tmp_path / name, "vr180", size=64)
        assert b"GPano" not in (tmp_path / name).read_bytes()


def test_vr180_video_has_the_spherical_boxes_and_plays(tmp_path: Path) -> None:
    render_stereo(textured(), tmp_path / "a.mp4", "vr180", path=torch.eye(4).repeat(3, 1, 1), size=64)
    data = (tmp_path / "a.mp4").read_bytes()
    boxes = {kind: (a, b) for kind, a, b in _boxes(data, 0, len(data))}
    assert boxes[b"mdat"][1] == len(data) or boxes[b"moov"][1] <= len(data)
    place = data.index(b"equi")
    assert struct.unpack_from(">4I", data, place + 8) == (0, 0, 1 << 30, 1 << 30)
    with av.open(str(tmp_path / "a.mp4")) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert len(frames) == 3 and frames[0].shape == (64, 128, 3) and frames[0].max() > 100


def test_boxes_are_inserted_before_and_after_the_frames() -> None:
    """Places of frames move only if the frames come after the index."""

    def file(index_first: bool) -> tuple[bytes, int]:
        frames = _box(b"mdat", b"frame")
        entry = _box(b"avc1", bytes(78))

        def index(place: int) -> bytes:
            stco = _box(b"stco", bytes(4) + struct.pack(">II", 1, place))
            table = _box(b"stbl", _box(b"stsd", bytes(4) + struct.pack(">I", 1) + entry) + stco)
            return _box(b"moov", _box(b"trak", _box(b"mdia", _box(b"minf", table))))

        place = len(index(0)) + 8 if index_first else 8
        return (index(place) + frames, place) if index_first else (frames + index(place), place)

    for index_first in (True, False):
        data, place = file(index_first)
        added = _box(b"st3d", bytes(4) + b"\2")
        changed = insert_in_video_entry(data, added)
        assert len(changed) == len(data) + len(added)
        (found,) = struct.unpack_from(">I", changed, changed.index(b"stco") + 12)
        assert found == place + (len(added) if index_first else 0)
        assert changed[found : found + 5] == b"frame"
        for kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"):
            before, after = data.index(kind) - 4, changed.index(kind) - 4
            assert struct.unpack_from(">I", changed, after)[0] == struct.unpack_from(">I", data, before)[0] + len(added)


@pytest.mark.parametrize(
    ("layout", "name", "message"),
    [("quilt", "a.mp4", "one image"), ("vr180", "a.gif", "headsets read"), ("sbs", "a.xyz", "xyz")],
)
def test_layouts_are_refused_for_files_that_cannot_hold_them(
    tmp_path: Path, layout: str, name: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        render_stereo(textured(), tmp_path / name, layout)
    assert list(tmp_path.iterdir()) == []
