"""Easing, loops and joints of camera paths."""

import json
import math
from pathlib import Path

import pytest
import torch
from small_scene import make_scene

from mine import paths
from mine.cli.render_options import CameraOptions
from mine.errors import InputError
from mine.output.camera_path import CameraPath
from mine.output.path_edits import JOINT, concatenate, is_closed


def places(path: CameraPath) -> torch.Tensor:
    """Camera centres (N, 3)."""
    return torch.linalg.inv(path.poses)[:, :3, 3]


@pytest.mark.parametrize(
    ("easing", "expected"), [("linear", 0.25), ("in", 0.0625), ("out", 0.4375), ("in-out", 0.15625)]
)
def test_easing_moves_a_quarter_of_the_time_by_its_curve(easing: str, expected: float) -> None:
    line = paths.line(frames=33)
    eased = paths.ease(line, easing, frames=5)
    x = places(eased)[:, 0]
    torch.testing.assert_close((x[1] - x[0]) / (x[-1] - x[0]), torch.tensor(expected), atol=1e-4, rtol=0)
    torch.testing.assert_close(eased.poses[[0, -1]], torch.as_tensor(line[[0, -1]]).as_subclass(torch.Tensor))


def test_eased_off_axis_paths_keep_the_pivot_still() -> None:
    """The shift is interpolated with the centre: the point at twice the near depth stays in the middle."""
    eased = paths.ease(paths.swing(frames=200, depth=1.5), "in-out", frames=30, closed=True)
    assert eased.shift is not None
    x = (eased.poses @ torch.tensor([0.0, 0, 3, 1]))[:, 0] / 3 + eased.shift[:, 0]
    assert x.abs().max() < 1e-6


def test_a_closed_path_is_eased_across_its_end() -> None:
    """With as many poses, and linear easing, it stays what it was."""
    swing = CameraPath.of(paths.swing(frames=12))
    same = paths.ease(swing, "linear", closed=True)
    torch.testing.assert_close(same.poses, swing.poses, atol=1e-6, rtol=0)


def test_a_loop_closes_exactly() -> None:
    """The step over the end is as small as its neighbours, and the middle is the path's end."""
    line = CameraPath.of(paths.line(frames=400))
    closed = paths.loop(line, frames=40)
    x = places(closed)[:, 0]
    assert x[0] == pytest.approx(float(places(line)[0, 0]), abs=1e-6)
    assert x[20] == pytest.approx(float(places(line)[-1, 0]), abs=1e-6)
    torch.testing.assert_close(x[1:20], x[21:].flip(0), atol=1e-6, rtol=0)
    assert abs(float(x[-1] - x[0])) == pytest.approx(abs(float(x[1] - x[0])), rel=1e-3)


def test_joined_paths_are_whole_and_do_not_jump() -> None:
    first, second = CameraPath.of(paths.zoom(frames=60)), CameraPath.of(paths.circle(frames=60))
    joined = paths.join([first, second])
    assert len(joined.poses) == 120 + JOINT
    torch.testing.assert_close(joined.poses[:60], first.poses)
    torch.testing.assert_close(joined.poses[-60:], second.poses)
    steps = places(joined).diff(dim=0).norm(dim=1)
    assert steps[59 : 60 + JOINT].max() < 2 * steps[60 + JOINT :].max()


def test_paths_that_meet_are_joined_without_more_poses() -> None:
    swing = CameraPath.of(paths.swing(frames=30))
    assert len(paths.join([swing, swing]).poses) == 60
    both = paths.join([paths.dolly_zoom(frames=30), swing])
    assert both.focal[:30].max() > 1.4 and (both.focal[30:] == 1).all()


@pytest.mark.parametrize("field", ["focal", "shift"])
def test_paths_whose_lenses_do_not_meet_are_joined_smoothly(field: str) -> None:
    """A camera that stands still zooms in, or shifts its view, and the next path begins without that."""
    still = CameraPath(torch.eye(4).repeat(30, 1, 1), torch.ones(30), torch.zeros(30, 2))
    grown = torch.linspace(0, 0.5, 30)
    other = {"focal": grown.exp()} if field == "focal" else {"shift": torch.stack([grown, 0 * grown], dim=1)}
    joined = paths.join([still._replace(**other), still])
    assert len(joined.poses) == 60 + JOINT and joined.shift is not None
    assert joined.focal.log().diff().abs().max() < 0.06 and joined.shift.diff(dim=0).abs().max() < 0.06


def test_paths_of_which_the_end_is_their_start_are_closed() -> None:
    for name, path in paths.PATHS.items():
        for frames in (4, 20, 90):
            assert is_closed(paths.as_path(path(frames=frames))) == (name != "line")
    generator = torch.Generator().manual_seed(0)
    held = torch.eye(4).repeat(90, 1, 1)
    held[:, 0, 3] = torch.linspace(0, 0.12, 90) + 0.03 * torch.randn(90, generator=generator)
    cut = torch.eye(4).repeat(60, 1, 1)
    cut[:, 0, 3] = torch.cat([torch.linspace(0, 0.1, 30), torch.linspace(-0.3, -0.2, 30)])
    for path in (cut, held, paths.join([paths.dolly_zoom(frames=45), paths.circle(frames=45)])):
        assert not is_closed(paths.as_path(path)), "one large step in its midst closes no path"
    assert not is_closed(paths.as_path(paths.line(frames=2))) and not is_closed(paths.as_path(paths.line(frames=3)))


@pytest.mark.parametrize("saved", [False, True])
@pytest.mark.parametrize("frames", [None, 36])
def test_files_that_loop_are_eased_and_left_closed(tmp_path: Path, saved: bool, frames: int | None) -> None:
    """Key poses, or a saved path: easing makes rests at the end but no frame twice, and --loop changes nothing."""
    file = tmp_path / "a.json"
    keys = [{"position": position} for position in ([0, 0, 0], [0.1, 0, 0], [0.1, 0.1, 0], [0, 0.1, 0])]
    file.write_text(json.dumps({"frames": 24, "keys": keys, "loop": True}))
    if saved:
        paths.save_path(paths.load(file), make_scene(), file)
    path, eased, looped = (
        options.make_path(str(file), make_scene(), frames, None, 30)
        for options in (CameraOptions(), CameraOptions(easing="in-out"), CameraOptions(loop=True))
    )
    torch.testing.assert_close(looped.poses, path.poses)
    x = places(eased)
    steps = torch.cat([x, x[:1]]).diff(dim=0).norm(dim=1)
    torch.testing.assert_close(steps[-1], steps[0], rtol=0.05, atol=0)
    assert len(x) == (frames or 24)


def test_joined_paths_in_a_number_of_frames_loop_if_they_do(tmp_path: Path) -> None:
    """Joints make more poses than are asked for: they are taken out evenly, over the end too."""
    for name, x in (("a.json", 0.2), ("b.json", 0.6)):
        square = [[x + dx, dy, 0] for dx, dy in ((0, 0), (0.1, 0), (0.1, 0.1), (0, 0.1))]
        keys = [{"position": position} for position in square]
        (tmp_path / name).write_text(json.dumps({"frames": 90, "loop": True, "keys": keys}))
    names = "+".join(str(tmp_path / name) for name in ("a.json", "b.json", "a.json"))
    joined = CameraOptions().make_path(names, make_scene(), 60, None, 30)
    x = places(joined)
    steps = torch.cat([x, x[:1]]).diff(dim=0).norm(dim=1)
    assert len(x) == 60
    torch.testing.assert_close(steps[-1], steps[0], rtol=0.15, atol=0)


def test_key_poses_loop_smoothly(tmp_path: Path) -> None:
    """Three keys on a circle: the velocity over the end is that elsewhere, and each key is passed."""
    keys = [{"position": [math.cos(a), math.sin(a), 0], "rotation": [10 * i, 0, 0]} for i, a in enumerate((0, 2, 4))]
    (tmp_path / "a.json").write_text(json.dumps({"frames": 60, "keys": keys, "loop": True}))
    path = paths.load(tmp_path / "a.json")
    x = places(path)
    for number, key in enumerate(keys):
        torch.testing.assert_close(
            x[20 * number], torch.tensor(key["position"], dtype=torch.float32), atol=1e-5, rtol=0
        )
    closed = torch.cat([x, x[:2]])
    acceleration = closed.diff(dim=0).diff(dim=0).norm(dim=1)
    assert acceleration[-3:].max() < 2 * acceleration[:-3].max()
    turning = concatenate([path, path]).poses[:, :3, :3].diff(dim=0).norm(dim=(1, 2))
    assert turning[58:62].max() < 1.5 * turning[:58].max()


def test_one_pose_is_a_path_of_one_frame() -> None:
    for path in (paths.ease(torch.eye(4)), paths.loop(torch.eye(4)), paths.join([torch.eye(4)])):
        assert torch.equal(path.poses, torch.eye(4)[None])
    moved = paths.swing(frames=4)[1]
    assert torch.equal(paths.as_path(moved).shift, paths.as_path(paths.swing(frames=4)).shift[1:2])  # type: ignore


def test_bad_arguments_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="bouncy"):
        paths.ease(paths.swing(), "bouncy")
    with pytest.raises(InputError, match="0 frames"):
        paths.ease(paths.swing(), "in", frames=0)
    with pytest.raises(InputError, match=r"2\.5 frames"):
        paths.ease(paths.swing(), "in", frames=2.5)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="0 frames"):
        paths.loop(paths.swing(), 0)
    with pytest.raises(InputError, match="no poses"):
        paths.loop(torch.zeros(0, 4, 4))
    with pytest.raises(InputError, match="pose has shape"):
        paths.join([torch.eye(3)])
    with pytest.raises(InputError, match="no camera paths"):
        paths.join([])
    (tmp_path / "a.json").write_text('{"frames": 3, "keys": [{"position": [0,0,0]}, {"position": [0,0,1]}], "loop": 1}')
    with pytest.raises(InputError, match='"loop"'):
        paths.load(tmp_path / "a.json")
