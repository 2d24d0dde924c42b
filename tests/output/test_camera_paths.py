"""Camera paths against their geometry: where the cameras are, where they look, and how clips loop."""

import copy
import json
import math
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import mine
from mine.errors import InputError
from mine.output import camera_paths as paths
from mine.output.video import render_path
from mine.render import use_backend
from mine.scene.camera import OffAxisPoses, intrinsics, off_axis_shift
from mine.scene.mpi import MPI

SIDEWAYS = {
    **{name: paths.PATHS[name] for name in ("swing", "wiggle", "circle")},
    **{f"line {way}": partial(paths.line, direction=way) for way in ("right", "left", "down", "up")},
}
LOOPS = ["swing", "wiggle", "zoom", "circle", "orbit", "spiral", "dolly-zoom"]


def poses_of(path: Tensor | paths.CameraPath) -> Tensor:
    return path.poses if isinstance(path, paths.CameraPath) else path


def centres(poses: Tensor) -> Tensor:
    """Camera centres c = -Rᵀ t (N, 3)."""
    return -(poses[:, :3, :3].mT @ poses[:, :3, 3:])[..., 0]


def project(poses: Tensor, point: list[float]) -> Tensor:
    """Image-plane coordinates (N, 2) in focal lengths of a source point, with the shift of the principal points."""
    transformed = poses @ torch.tensor([*point, 1.0])
    return transformed[:, :2] / transformed[:, 2:3] + off_axis_shift(poses)


def test_paths_are_public_as_mine_paths() -> None:
    assert mine.paths.swing is paths.swing
    assert all(hasattr(mine.paths, name) for name in paths.__all__)


@pytest.mark.parametrize("name", paths.PATHS)
@given(frames=st.integers(1, 40), amount=st.floats(0.1, 2), depth=st.floats(0.01, 1000))
@settings(max_examples=15, deadline=None)
def test_poses_are_rigid_and_scale_with_depth(name: str, frames: int, amount: float, depth: float) -> None:
    poses = poses_of(paths.PATHS[name](frames=frames, amount=amount, depth=depth))
    unit = poses_of(paths.PATHS[name](frames=frames, amount=amount))
    assert poses.shape == (frames, 4, 4) and poses.dtype == torch.float32
    rotation = poses[:, :3, :3]
    torch.testing.assert_close(rotation @ rotation.mT, torch.eye(3).expand(frames, 3, 3), atol=1e-6, rtol=0)
    torch.testing.assert_close(torch.linalg.det(rotation), torch.ones(frames), atol=1e-6, rtol=0)
    torch.testing.assert_close(rotation, unit[:, :3, :3], atol=1e-6, rtol=0)
    torch.testing.assert_close(poses[:, :3, 3] / depth, unit[:, :3, 3], atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", LOOPS)
def test_loops_close_without_repeating_a_frame(name: str) -> None:
    poses = poses_of(paths.PATHS[name](frames=90))
    step = centres(poses.roll(-1, 0)) - centres(poses)
    length = step.norm(dim=-1)
    inner_turn = (step[1:-1] - step[:-2]).norm(dim=-1).max()
    assert length[-1] <= 1.05 * length[:-1].max(), "the jump back to the first frame is a step like the others"
    assert (step[-1] - step[-2]).norm() <= 1.05 * inner_turn, "velocity is continuous across the seam"
    assert (step[0] - step[-1]).norm() <= 1.05 * inner_turn
    if name not in ("swing", "wiggle", "zoom", "dolly-zoom"):
        assert length.min() > 0.3 * length.max(), "no frame is shown twice"


@pytest.mark.parametrize("name", ["swing", "wiggle", "orbit", "spiral"])
def test_the_pivot_stays_in_the_middle(name: str) -> None:
    middle = project(poses_of(paths.PATHS[name](depth=3.0)), [0, 0, 3.0 * paths.PIVOT])
    torch.testing.assert_close(middle, torch.zeros(len(middle), 2), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["swing", "orbit", "spiral", "zoom", "circle", "dolly-zoom"])
def test_horizon_stays_level(name: str) -> None:
    right = poses_of(paths.PATHS[name]())[:, 0, :3]
    assert right[:, 1].abs().max() < 1e-6, "the camera's x axis has no vertical part: no roll"


@pytest.mark.parametrize("path", SIDEWAYS.values(), ids=SIDEWAYS)
@pytest.mark.parametrize("depth", [0.2, 1.0, 30.0])
def test_sideways_motion_keeps_the_pivot_plane_still_and_verticals_upright(
    path: Callable[..., Tensor], depth: float
) -> None:
    """In a view 1920 pixels wide, of a 67 degrees wide photo."""
    poses, focal = path(frames=9, depth=depth), 1450
    for x, y in ((0, 0), (-1.2, 0.8), (1.2, -0.8)):
        track = focal * project(poses, [x * depth, y * depth, depth * paths.PIVOT])
        assert (track - track[0]).abs().max() < 0.05
        for near in (1.0, 1.5, 8.0):
            top, bottom = (project(poses, [x * depth, side * depth, near * depth]) for side in (-0.5, 0.5))
            assert (focal * (top - bottom)[:, 0]).abs().max() < 0.05, "no vertical leans"
            height = focal * (bottom - top)[:, 1]
            assert (height - focal / near).abs().max() < 0.05, "none grows as the camera nears it"


@pytest.mark.parametrize("path", SIDEWAYS.values(), ids=SIDEWAYS)
def test_a_rendered_wall_at_the_pivot_stands_still(path: Callable[..., Tensor]) -> None:
    """Noise shows a twentieth of a pixel: bilinear samples of it would change by a twentieth of its contrast."""
    sigma = torch.full((2, 1, 48, 64), 1e5)
    K = torch.tensor([[48.0, 0, 32], [0, 48, 24], [0, 0, 1]])
    scene = MPI(torch.rand(2, 3, 48, 64), sigma, 1 / torch.tensor([3 * paths.PIVOT, 1e3]), K)
    poses = path(frames=6, depth=3.0)
    with use_backend("reference"):
        views = torch.cat([view.rgb for view in render_path(scene, poses, crop=False)])
        torch.testing.assert_close(views, views[:1].expand_as(views), atol=1e-3, rtol=0)
        torch.testing.assert_close(scene.render(poses).rgb, views)
        moved = scene.render(poses.as_subclass(Tensor)).rgb
    assert (moved - moved[:1]).abs().max() > 0.1, "without the shift it moves"


def test_off_axis_poses_keep_their_pivot_when_indexed_moved_and_copied() -> None:
    poses = paths.swing(frames=8, depth=3.0)
    for kept in (poses[2:4], poses[3], poses[[0, 5]], poses.to(torch.float64), copy.deepcopy(poses), poses.clone()):
        assert isinstance(kept, OffAxisPoses) and kept.pivot == 3 * paths.PIVOT
    torch.testing.assert_close(off_axis_shift(poses)[3], off_axis_shift(poses[3]))
    for plain in (
        poses[:, :3, 3],
        poses[:4, :, 3],
        poses[:4, [0, 1, 2, 3], 3],
        poses[2:6, ..., 0],
        poses[:, :, [3, 2, 1, 0]],
        poses @ poses,
        poses.inverse(),
        torch.stack([poses[0], poses[1]]),
    ):
        assert type(plain) is Tensor
    assert torch.equal(off_axis_shift(torch.eye(4)), torch.zeros(2))


def test_poses_are_the_same_one_by_one() -> None:
    poses = paths.swing(frames=4, depth=3.0)
    shifts = off_axis_shift(poses)
    assert shifts.abs().max() > 0
    for number, pose in enumerate(poses):
        torch.testing.assert_close(off_axis_shift(pose), shifts[number])
    assert len(list(poses)) == 4
    for kept in (poses[:, None], poses[..., :, :], poses[torch.tensor([True, False, True, True])], poses[:0]):
        assert isinstance(kept, OffAxisPoses)


def test_a_swing_may_turn_instead() -> None:
    turned, shifted = paths.swing(frames=8, depth=3.0, turn=True), paths.swing(frames=8, depth=3.0)
    torch.testing.assert_close(centres(turned), centres(shifted))
    torch.testing.assert_close(project(turned, [0, 0, 3.0 * paths.PIVOT]), torch.zeros(8, 2), atol=1e-6, rtol=0)
    leaning = project(turned, [2.0, -1, 6])[:, 0] - project(turned, [2.0, 1, 6])[:, 0]
    assert leaning.abs().max() < 1e-6, "verticals stay upright"
    height = project(turned, [2.0, 1, 6])[:, 1] - project(turned, [2.0, -1, 6])[:, 1]
    assert height.max() / height.min() > 1.02, "and grow and shrink: a keystone"


def test_swing_starts_at_the_photo_and_reaches_both_sides_equally() -> None:
    poses = paths.swing(frames=4, depth=2.0)
    torch.testing.assert_close(poses[0], torch.eye(4))
    extent = paths.SIDEWAYS * 2.0
    torch.testing.assert_close(centres(poses)[:, 0], torch.tensor([0, extent, 0, -extent]), atol=1e-6, rtol=0)


def test_swing_moves_near_and_far_equally_and_oppositely() -> None:
    poses = paths.swing(frames=4)[1:2]
    near, far = project(poses, [0, 0, 1.0])[0, 0], project(poses, [0, 0, 1e6])[0, 0]
    assert near < 0 < far
    assert near.item() == pytest.approx(-far.item(), rel=0.01)


def test_circle_and_orbit_keep_their_distances() -> None:
    circle = centres(paths.circle(depth=2.0))
    torch.testing.assert_close(circle.norm(dim=-1), torch.full((90,), 2 * paths.RADIUS))
    from_pivot = centres(paths.orbit(depth=2.0)) - torch.tensor([0, 0, 2 * paths.PIVOT])
    torch.testing.assert_close(from_pivot.norm(dim=-1), torch.full((90,), 2 * paths.PIVOT))


def test_zoom_goes_forward_and_returns() -> None:
    forward = centres(paths.zoom(frames=8, depth=2.0))[:, 2]
    assert forward[0] == 0 and forward.argmax() == 4
    assert forward[4].item() == pytest.approx(2 * paths.FORWARD)


@given(amount=st.floats(-1.5, 3), depth=st.floats(0.1, 100))
@settings(max_examples=20, deadline=None)
def test_dolly_zoom_keeps_the_subject_and_changes_the_background(amount: float, depth: float) -> None:
    path = paths.dolly_zoom(frames=8, amount=amount, depth=depth)
    subject = path.focal * project(path.poses, [0.3 * depth, 0, depth])[:, 0]
    torch.testing.assert_close(subject, torch.full((8,), 0.3), atol=1e-5, rtol=0)
    background = path.focal * project(path.poses, [3 * depth, 0, 10 * depth])[:, 0]
    assert torch.sign(background[4] - background[0] + 0.0) == torch.sign(torch.tensor(amount)) or abs(amount) < 1e-3


@pytest.mark.parametrize(
    ("direction", "axis"),
    [("right", [1, 0, 0]), ("left", [-1, 0, 0]), ("up", [0, -1, 0]), ("down", [0, 1, 0]), ("forward", [0, 0, 1])],
)
def test_line_runs_straight_in_its_direction(direction: paths.Direction, axis: list[int]) -> None:
    centre = centres(paths.line(frames=5, direction=direction))
    along = torch.linspace(-1, 1, 5)[:, None] * paths.SIDEWAYS * torch.tensor(axis)
    torch.testing.assert_close(centre, along)


@pytest.mark.parametrize("name", paths.PATHS)
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"frames": 0}, "0 frames"),
        ({"amount": math.nan}, "amount nan"),
        ({"depth": 0.0}, "depth 0"),
        ({"depth": math.inf}, "depth inf"),
    ],
)
def test_impossible_paths_are_refused(name: str, bad: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        paths.PATHS[name](**bad)


def test_unknown_direction_and_a_dolly_through_its_subject_are_refused() -> None:
    with pytest.raises(InputError, match="sideways"):
        paths.line(direction="sideways")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="subject"):
        paths.dolly_zoom(amount=-2)


def test_near_depth_is_the_depth_of_the_nearest_tenth() -> None:
    """A fifth of the frame holds an opaque plane at depth 2, the rest shows the plane at depth 10."""
    sigma = torch.full((2, 1, 64, 80), 1e4)
    sigma[0, :, :, 16:] = 0
    K = torch.tensor([[40.0, 0, 40], [0, 40, 32], [0, 0, 1]])
    scene = MPI(torch.rand(2, 3, 64, 80), sigma, torch.tensor([0.5, 0.1]), K)
    assert paths.near_depth(scene) == pytest.approx(2.0, rel=1e-3)


def write(tmp_path: Path, content: object) -> str:
    file = tmp_path / "path.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(file)


def test_loaded_path_goes_through_its_keys(tmp_path: Path) -> None:
    keys = [
        {"position": [0, 0, 0]},
        {"position": [1, 0, 2], "rotation": [90, 0, 0], "focal": 2},
        {"position": [0, 1, 0]},
    ]
    path = paths.load(write(tmp_path, {"frames": 5, "keys": keys}))
    assert path.poses.shape == (5, 4, 4) and path.poses.dtype == torch.float32
    torch.testing.assert_close(centres(path.poses)[::2], torch.tensor([[0.0, 0, 0], [1, 0, 2], [0, 1, 0]]))
    torch.testing.assert_close(path.focal[::2], torch.tensor([1.0, 2, 1]))
    torch.testing.assert_close(path.poses[0], torch.eye(4))


@pytest.mark.parametrize(
    ("rotation", "target", "where"),
    [
        ([90, 0, 0], [1.0, 0, 0], [0.0, 0, 1]),  # yaw: what was to the right is ahead
        ([0, 90, 0], [0.0, -1, 0], [0.0, 0, 1]),  # pitch: what was above is ahead
        ([0, 0, 90], [0.0, 1, 0], [1.0, 0, 0]),  # roll clockwise: what was below is to the right
        ([90, 90, 0], [0.0, -1, 0], [0.0, 0, 1]),  # pitch is about the camera's own axis, after yaw
    ],
)
def test_angles_turn_the_camera_as_documented(
    tmp_path: Path, rotation: list[float], target: list[float], where: list[float]
) -> None:
    keys = [{"position": [0, 0, 0], "rotation": rotation}] * 2
    poses = paths.load(write(tmp_path, {"frames": 1, "keys": keys})).poses
    torch.testing.assert_close(poses[0, :3, :3] @ torch.tensor(target), torch.tensor(where), atol=1e-6, rtol=0)


def test_loaded_path_is_smooth_at_its_keys(tmp_path: Path) -> None:
    keys = [
        {"position": [0, 0, 0]},
        {"position": [1, 0, 0], "rotation": [40, 10, 0]},
        {"position": [1, 1, 0], "rotation": [0, -30, 20]},
        {"position": [0, 0, 1]},
    ]
    poses = paths.load(write(tmp_path, {"keys": keys}), frames=3001).poses.double()
    velocity = (poses[1:] - poses[:-1]) * 1000
    jump = (velocity[1:] - velocity[:-1]).abs().amax(dim=(1, 2))
    assert velocity.abs().max() > 0.5
    assert jump.max() < 0.02, "a corner at a key would jump by about the velocity itself"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{not json", "not JSON"),
        ("[]", "no camera path"),
        ({"frames": 3}, "keys"),
        ({"frames": 3, "keys": [{"position": [0, 0, 0]}]}, "two"),
        ({"frames": 0, "keys": [{"position": [0, 0, 0]}] * 2}, "0 .frames"),
        ({"keys": [{"position": [0, 0, 0]}] * 2}, "None .frames"),
        ({"frames": 3, "keys": [{"rotation": [0, 0, 0]}] * 2}, "position"),
        ({"frames": 3, "keys": [{"position": [0, 0]}] * 2}, "position"),
        ({"frames": 3, "keys": [{"position": [0, 0, "x"]}] * 2}, "position"),
        ({"frames": 3, "keys": [{"position": [0, 0, 0], "rotation": [1, 0, 0, 0]}] * 2}, "rotation"),
        ({"frames": 3, "keys": [{"position": [0, 0, 0], "focal": 0}] * 2}, "focal"),
        ('{"frames": 3, "keys": [{"position": [0, 0, NaN]}, {"position": [0, 0, 0]}]}', "position"),
        ({"frames": 3, "keys": [1, 2]}, "position"),
        ({"frames": 10**9, "keys": [{"position": [0, 0, 0]}] * 2}, "frames"),
        ({"frames": 10**400, "keys": [{"position": [0, 0, 0]}] * 2}, "frames"),
        ({"frames": True, "keys": [{"position": [0, 0, 0]}] * 2}, "frames"),
        ({"frames": 3, "keys": [{"position": [0, 0, 10**400]}] * 2}, "position"),
        ({"frames": 3, "keys": [{"position": [0, 0, 1e300]}] * 2}, "position"),
        ({"frames": 3, "keys": [{"position": [0, 0, True]}] * 2}, "position"),
        ({"frames": 3, "keys": [{"position": [0, 0, 0], "rotation": [-1e9, 0, 0]}] * 2}, "rotation"),
        ({"frames": 3, "keys": [{"position": [0, 0, 0], "focal": 1e-30}] * 2}, "focal"),
        ({"frames": 3, "keys": [{"position": [0, 0, 0], "focal": [[1]]}] * 2}, "focal"),
        ({"frames": 3, "keys": [{"position": [0, 0, 0]}] * 10001}, "at most 10000"),
        ({"frames": 3, "keys": [{"position": ["x" * 10000]}] * 2}, "position"),
        ('{"frames": 3, "keys": [{"position": [0, 0, 1e999]}, {"position": [0, 0, 0]}]}', "position"),
        ('{"frames": ' + "9" * 5000 + "}", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"a":' * 100_000, "not JSON"),
        ("\x00", "not JSON"),
    ],
)
def test_bad_path_files_are_refused_in_one_line(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        paths.load(write(tmp_path, content))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


@pytest.mark.parametrize("name", paths.PATHS)
@pytest.mark.parametrize("frames", [0, -1, 100_001, 10**12])
def test_too_many_frames_are_refused_before_there_are_any(name: str, frames: int) -> None:
    with pytest.raises(InputError, match="give a whole number from 1 to 100000"):
        paths.PATHS[name](frames)


def test_paths_are_read_from_files_alone(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.json")
    (tmp_path / "b.json").touch()
    os.truncate(tmp_path / "b.json", (1 << 26) + 1)
    (tmp_path / "c.json").write_bytes(b"\xff\xfe")
    for name, told in (("a.json", "pipe or a device"), ("b.json", "more than the"), ("c.json", "cannot be read")):
        with pytest.raises(InputError, match=told):
            paths.load(tmp_path / name)


def test_a_missing_path_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        paths.load(tmp_path / "nowhere.json")


def board_scene(fov: float, size: tuple[int, int] = (24, 36)) -> MPI:
    """A board at depth 2 that fills the left half of a photo of so many degrees, and a wall at depth 20."""
    sigma = torch.full((2, 1, *size), 1e4)
    sigma[0, 0, :, size[1] // 2 :] = 0
    return MPI(torch.rand(2, 3, *size), sigma, torch.tensor([0.5, 0.05]), intrinsics(size, fov))


@pytest.mark.parametrize("fov", [5.0, 7, 12, 20, 30, 39, 40, 53, 67, 90, 110])
@pytest.mark.parametrize("name", ["swing", "circle", "orbit", "spiral", "line"])
def test_parallax_in_pixels_is_that_of_the_lens_up_to_a_normal_one(name: str, fov: float) -> None:
    """The nearest things move by f a / 2 to each side, with f in widths: a is the amplitude, and f counts up to 1.4."""
    amplitude = paths.SIDEWAYS if name in ("swing", "line") else paths.RADIUS
    scene, focal = board_scene(fov), 1 / 2 / math.tan(math.radians(fov) / 2)
    path = paths.scene_path(scene, name, frames=8)
    near = path.poses @ torch.tensor([0.0, 0, paths.near_depth(scene), 1])
    moved = near[:, 0] / near[:, 2] + (0 if path.shift is None else path.shift[:, 0])
    expected = min(focal, 1.4) * amplitude / 2
    assert float(moved.abs().max()) * focal == pytest.approx(expected, rel=0.1 if name == "spiral" else 0.01)
    usual = paths.PATHS[name](frames=8, depth=paths.near_depth(scene))
    if focal <= 1.4:
        assert torch.equal(path.poses, poses_of(usual).as_subclass(Tensor)), "as ever"


@pytest.mark.parametrize("name", paths.ALONG)
def test_paths_along_the_axis_are_those_of_any_lens(name: str) -> None:
    """A point at the photo's border moves by a share of its distance to the middle, whatever the focal length."""
    long, usual = (paths.scene_path(board_scene(fov), name, frames=6) for fov in (7.0, 67.0))
    torch.testing.assert_close(long.poses, usual.poses)
    assert torch.equal(long.focal, usual.focal)


def test_upright_photos_count_by_their_longer_side() -> None:
    for fov in (40.0, 20.0):
        wide = board_scene(fov)
        high = MPI(*(x.mT for x in (wide.rgb, wide.sigma)), wide.disparity, wide.K[[1, 0, 2]][:, [1, 0, 2]])
        assert paths.lens_factor(high) == pytest.approx(paths.lens_factor(wide))


def test_an_unknown_name_of_a_scenes_path_is_refused() -> None:
    with pytest.raises(InputError, match="no camera path 'swirl': choose swing"):
        paths.scene_path(board_scene(60.0), "swirl")


def test_numbers_of_frames_may_be_numpys(tmp_path: Path) -> None:
    keys = [{"position": [0, 0, 0]}, {"position": [1, 0, 0]}]
    assert len(paths.load(write(tmp_path, {"keys": keys}), frames=np.int64(5)).poses) == 5  # type: ignore[arg-type]
