"""Camera paths of other programs: where their cameras stand, what is refused, and what comes back of what was saved."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap
import pytest
import torch
from scipy.spatial.transform import Rotation
from small_scene import make_scene

import mine
from mine.errors import InputError
from mine.output import foreign_paths
from mine.output.camera_path import CameraPath
from mine.output.camera_paths import PIVOT, SIDEWAYS

POSITIONS = [[1.0, 2, 3], [1.5, 2, 3], [1, 2.25, 2]]
"""Camera centres in a world with y up, z backward."""


def matrices() -> list[np.ndarray[Any, Any]]:
    """Camera-to-world matrices in OpenGL's axes: the first turned by 90 degrees to the left, the others further."""
    turned = []
    for angle, position in zip((90, 90, 120), POSITIONS, strict=True):
        matrix = np.eye(4)
        matrix[:3, :3] = Rotation.from_euler("y", angle, degrees=True).as_matrix()
        matrix[:3, 3] = position
        turned.append(matrix)
    return turned


def nerfstudio(path: Path, **changes: Any) -> Path:
    """A camera path as nerfstudio's viewer exports it."""
    cameras = [
        {"camera_to_world": matrix.flatten().tolist(), "fov": fov, "aspect": 1.5}
        for matrix, fov in zip(
            matrices(), (50, 50, 2 * math.degrees(math.atan(math.tan(math.radians(25)) / 2))), strict=True
        )
    ]
    content = {"camera_type": "perspective", "fps": 24, "seconds": 1, "camera_path": cameras} | changes
    path.write_text(json.dumps(content))
    return path


def transforms(path: Path) -> Path:
    """The same path in NeRF's Blender format, with one field of view."""
    frames = [{"file_path": f"./{i}", "transform_matrix": matrix.tolist()} for i, matrix in enumerate(matrices())]
    path.write_text(json.dumps({"camera_angle_x": 0.7, "frames": frames}))
    return path


def images_txt(path: Path) -> Path:
    """The same in COLMAP's form: world to camera, in OpenCV's axes, listed in another order than that of the names."""
    flip = np.diag([1.0, -1, -1, 1])
    lines = ["# a comment"]
    for number in (2, 0, 1):
        inverse = np.linalg.inv(flip @ matrices()[number] @ flip)
        x, y, z, w = Rotation.from_matrix(inverse[:3, :3]).as_quat()
        values = " ".join(map(repr, map(float, (w, x, y, z, *inverse[:3, 3]))))
        lines += [f"{number + 7} {values} 1 frame {number}.png", "1.0 2.0 -1"]
    path.write_text("\n".join(lines) + "\n")
    return path


def check_path(path: CameraPath) -> None:
    """The first camera is the photo's; the second is half a unit in front, for it looks along the first's x axis."""
    assert len(path.poses) == 3
    torch.testing.assert_close(path.poses[0], torch.eye(4), atol=1e-6, rtol=0)
    centres = torch.linalg.inv(path.poses)[:, :3, 3]
    # The first camera looks along -x of its world (90 degrees to the left of -z): right is -z, down is -y.
    torch.testing.assert_close(centres[1], torch.tensor([0.0, 0, -0.5]), atol=1e-5, rtol=0)
    torch.testing.assert_close(centres[2], torch.tensor([1.0, -0.25, 0]), atol=1e-5, rtol=0)
    forward = torch.linalg.inv(path.poses)[2, :3, 2]
    torch.testing.assert_close(forward, torch.tensor([-0.5, 0, math.sqrt(0.75)]), atol=1e-5, rtol=0)


def test_paths_of_other_programs_start_at_the_photo(tmp_path: Path) -> None:
    for file in (
        nerfstudio(tmp_path / "a.json"),
        transforms(tmp_path / "transforms.json"),
        images_txt(tmp_path / "i.txt"),
    ):
        check_path(mine.paths.load(file))


def test_blank_lines_of_images_txt_are_points_only_behind_an_image(tmp_path: Path) -> None:
    comment, *lines = images_txt(tmp_path / "images.txt").read_text().splitlines()
    lines[1::2] = ["", "1.0 2.0 -1", ""]
    for spread in (["", comment, *lines], [comment, "", *lines], [comment, *lines[:4], "", " ", *lines[4:], ""]):
        (tmp_path / "images.txt").write_text("\n".join(spread))
        check_path(mine.paths.load(tmp_path / "images.txt"))


def test_fields_of_view_become_focal_factors(tmp_path: Path) -> None:
    torch.testing.assert_close(mine.paths.load(nerfstudio(tmp_path / "a.json")).focal, torch.tensor([1.0, 1, 2]))
    (tmp_path / "cameras.txt").write_text("# c\n1 PINHOLE 640 480 500 510 320 240\n")
    assert mine.paths.load(images_txt(tmp_path / "images.txt")).focal.tolist() == [1, 1, 1]


def test_amount_scales_the_motion_and_frames_resample_it(tmp_path: Path) -> None:
    file = nerfstudio(tmp_path / "a.json")
    centres = torch.linalg.inv(mine.paths.load(file, amount=0.1).poses)[:, :3, 3]
    torch.testing.assert_close(centres[1], torch.tensor([0.0, 0, -0.05]), atol=1e-5, rtol=0)
    path = mine.paths.load(file, frames=5)
    assert len(path.poses) == 5
    middle = torch.linalg.inv(path.poses)[3]
    torch.testing.assert_close(middle[:3, 3], torch.tensor([0.5, -0.125, -0.25]), atol=1e-5, rtol=0)
    angle = math.radians(15)  # halfway between 0 and 30 degrees
    torch.testing.assert_close(middle[:3, 2], torch.tensor([-math.sin(angle), 0, math.cos(angle)]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["a.json", "transforms.json", "images.txt"])
def test_what_is_saved_is_what_is_loaded(tmp_path: Path, name: str) -> None:
    path = CameraPath.of(mine.paths.swing(frames=7))
    if name != "images.txt":  # which has no fields of view that change
        path = path._replace(focal=torch.linspace(1, 1.5, 7))
    mine.paths.save_path(path, make_scene(), tmp_path / name)
    found = mine.paths.load(tmp_path / name)
    torch.testing.assert_close(found.poses, path.poses, atol=1e-6, rtol=0)
    torch.testing.assert_close(found.focal, path.focal, atol=1e-5, rtol=0)
    if name != "images.txt":
        assert found.shift is not None and path.shift is not None
        torch.testing.assert_close(found.shift, path.shift, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["a.json", "transforms.json"])
def test_what_is_saved_may_be_in_metres_and_long(tmp_path: Path, name: str) -> None:
    path = CameraPath.of(mine.paths.zoom(frames=15_000, depth=300.0))
    mine.paths.save_path(path, make_scene(), tmp_path / name)
    torch.testing.assert_close(mine.paths.load(tmp_path / name).poses, path.poses, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["a.json", "transforms.json"])
def test_a_saved_swing_keeps_its_pivot_still_at_any_amount(tmp_path: Path, name: str) -> None:
    mine.paths.save_path(mine.paths.swing(frames=8), make_scene(), tmp_path / name)
    found = mine.paths.load(tmp_path / name, amount=2)
    assert found.shift is not None
    x = found.poses[:, 0, 3] / PIVOT + found.shift[:, 0]
    assert found.poses[:, 0, 3].abs().max() == pytest.approx(2 * SIDEWAYS)
    assert x.abs().max() < 1e-6


@pytest.mark.parametrize(("path", "frames"), [("circle", 50), ("circle", 13), ("line", 50)])
def test_a_saved_path_is_resampled_over_its_seam_if_it_loops(tmp_path: Path, path: str, frames: int) -> None:
    mine.paths.save_path(mine.paths.PATHS[path](frames=20), make_scene(), tmp_path / "a.json")
    centres = torch.linalg.inv(mine.paths.load(tmp_path / "a.json", frames=frames).poses)[:, :3, 3]
    steps = torch.cat([centres, centres[:1]]).diff(dim=0).norm(dim=1)
    assert len(centres) == frames
    if path == "line":
        assert steps[-1] == pytest.approx(2 * SIDEWAYS), "both ends are kept"
    else:
        assert steps.max() < 1.05 * steps.min()


@pytest.mark.parametrize(
    ("path", "options", "message"),
    [
        (torch.zeros(0, 4, 4), {}, "no poses"),
        (torch.eye(3), {}, "pose has shape"),
        (torch.eye(4), {"fps": 0}, "fps 0"),
        (torch.eye(4), {"fps": float("nan")}, "fps nan"),
    ],
)
def test_what_is_no_path_is_not_saved(
    tmp_path: Path, path: torch.Tensor, options: dict[str, float], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        mine.paths.save_path(path, make_scene(), tmp_path / "a.json", **options)
    assert not list(tmp_path.iterdir())
    (tmp_path / "b.json").write_text(json.dumps({"camera_path": [{"camera_to_world": np.eye(4).flatten().tolist()}]}))
    with pytest.raises(InputError, match="0 frames"):
        mine.paths.load(tmp_path / "b.json", frames=0)
    with pytest.raises(InputError, match="amount nan"):
        mine.paths.load(tmp_path / "b.json", amount=float("nan"))


def test_saved_paths_have_the_axes_of_their_programs(tmp_path: Path) -> None:
    """A camera a quarter of a unit to the right, above and in front: +x, +y up, -z."""
    pose = torch.eye(4).repeat(2, 1, 1)
    pose[1, :3, 3] = torch.tensor([-0.25, 0.25, -0.25])
    mine.paths.save_path(pose, make_scene(), tmp_path / "a.json")
    camera = json.loads((tmp_path / "a.json").read_text())["camera_path"][1]
    assert np.reshape(camera["camera_to_world"], (4, 4))[:3, 3] == pytest.approx([0.25, 0.25, -0.25])
    horizontal = 2 * math.degrees(math.atan(math.tan(math.radians(camera["fov"]) / 2) * camera["aspect"]))
    assert horizontal == pytest.approx(71)
    mine.paths.save_path(pose, make_scene(), tmp_path / "images.txt")
    (tmp_path / "cameras.txt").write_text("1 SIMPLE_PINHOLE 24 16 17 12 8\n")
    (tmp_path / "points3D.txt").write_text("")
    model = pycolmap.Reconstruction(tmp_path)
    assert model.images[2].projection_center() == pytest.approx([0.25, -0.25, 0.25])


def test_rotations_of_few_digits_become_rotations(tmp_path: Path) -> None:
    turns = Rotation.random(20, random_state=0).as_matrix()
    rounded = np.tile(np.eye(4), (20, 1, 1))
    rounded[:, :3, :3] = turns.round(3)
    content = {"frames": [{"transform_matrix": matrix.tolist()} for matrix in rounded]}
    (tmp_path / "transforms.json").write_text(json.dumps(content))
    found = mine.paths.load(tmp_path / "transforms.json").poses[:, :3, :3]
    torch.testing.assert_close(found @ found.mT, torch.eye(3).expand(20, 3, 3), atol=1e-6, rtol=0)
    flip = np.diag([1.0, -1, -1])
    expected = torch.from_numpy(flip @ turns.transpose(0, 2, 1) @ turns[0] @ flip).float()
    torch.testing.assert_close(found, expected, atol=4e-3, rtol=0)


TRANSPOSED = np.eye(4)
TRANSPOSED[3, 0] = 1e-3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"camera_path": []}, '0 "camera_path"'),
        ({"camera_path": [{"fov": 50}]}, "16 finite numbers"),
        ({"camera_path": [{"camera_to_world": [0] * 15 + ["x"]}]}, "16 finite numbers"),
        ({"camera_path": [{"camera_to_world": np.diag([2.0, 2, 2, 1]).flatten().tolist()}]}, "without scale"),
        ({"camera_path": [{"camera_to_world": np.diag([1.0, 1, -1, 1]).flatten().tolist()}]}, "is no pose"),
        ({"camera_path": [{"camera_to_world": TRANSPOSED.flatten().tolist()}]}, "is no pose.*by rows"),
        ({"camera_path": [{"camera_to_world": np.eye(4).flatten().tolist(), "fov": 0}]}, "field of view of 0"),
        ({"camera_path": [{"camera_to_world": np.eye(4).flatten().tolist(), "fov": 200}]}, "field of view of 200"),
        ({"camera_path": [{"camera_to_world": np.eye(4).flatten().tolist(), "fov": 1e-320}]}, "degrees at camera 0"),
        (
            {"frames": [{"transform_matrix": np.eye(4).tolist(), "fl_x": f, "w": 1} for f in (1e-8, 1e8)]},
            r"a\.json has focal lengths of 1 to 1e\+16 times the first",
        ),
        (
            {"frames": [{"transform_matrix": np.eye(4).tolist()}], "mine": {"shift": [[1e8, 1e8]]}},
            r'a\.json has a "shift" of 1e\+08 focal lengths',
        ),
        ({"camera_path": 5}, "no list of cameras"),
        ({"frames": [{}]}, "transform_matrix"),
        ({"frames": [{"transform_matrix": np.eye(4).tolist(), "fl_x": -5, "w": 10}]}, "focal length"),
        ({"frames": 90}, "keys"),
        ({"frames": [{"transform_matrix": [1, 2, [3]]}]}, "16 finite numbers"),
        ({"frames": [{"transform_matrix": np.eye(4).tolist()}], "mine": {"focal": 0}}, "focal length of 0"),
        ({"frames": [{"transform_matrix": np.eye(4).tolist()}], "mine": {"shift": 5}}, '"shift": give 2'),
        (
            {"frames": [{"transform_matrix": np.eye(4).tolist()}], "mine": {"shift": [[1, 2], [3, 4]]}},
            '"shift": give 2',
        ),
        ([1, 2], "holds no camera path"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, content: Any, message: str) -> None:
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        mine.paths.load(tmp_path / "a.json")


@pytest.mark.parametrize("text", ["", "1 2 3\n", "a b c d e f g h i j\n", "1 0 0 0 0 0 0 0 1 a.png\n\n"])
def test_bad_images_txt_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "images.txt").write_text(text)
    with pytest.raises(InputError, match=r"images\.txt"):
        mine.paths.load(tmp_path / "images.txt")


@pytest.mark.parametrize("name", ["images.txt", "cameras.txt"])
def test_lines_are_counted_before_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    images_txt(tmp_path / "images.txt")
    (tmp_path / "cameras.txt").write_text("1 PINHOLE 640 480 500 510 320 240\r\n")
    monkeypatch.setattr(foreign_paths, "MAX_LINES", 50)
    assert len(mine.paths.load(tmp_path / "images.txt").poses) > 1
    with (tmp_path / name).open("a") as file:
        file.write("\n" * 50)
    with pytest.raises(InputError, match=rf"{name} has \d\d lines"):
        mine.paths.load(tmp_path / "images.txt")


def test_other_units_are_told_with_a_factor_that_helps(tmp_path: Path) -> None:
    far = [matrix.copy() for matrix in matrices()]
    far[2][:3, 3] += 800
    cameras = [{"camera_to_world": matrix.flatten().tolist(), "fov": 50} for matrix in far]
    file = nerfstudio(tmp_path / "a.json", camera_path=cameras)
    with pytest.raises(InputError, match=r"1.39e\+03 scene units away.*--amount 0.0001$"):
        mine.paths.load(file)
    centres = torch.linalg.inv(mine.paths.load(file, amount=1e-4).poses)[:, :3, 3]
    assert centres.norm(dim=1).max() < 0.3
