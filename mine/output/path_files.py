"""Writing camera paths for other programs: nerfstudio, NeRF's Blender format, COLMAP's images.txt.

The world of the files is the source camera: its axes in OpenGL's convention (x right, y up, z backward) in JSON files,
in OpenCV's in images.txt. Key "mine" of the JSON files says so, and holds what the formats do not: the focal length of
the source camera, the shifts of the principal points, and whether the path loops. With it `mine.paths.load` returns
what was saved.
"""

import json
import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mine.errors import InputError
from mine.files import check_writable, replacing
from mine.output.camera_path import CameraPath
from mine.output.path_edits import as_path, is_closed
from mine.output.writers import check_fps
from mine.scene.mpi import MPI, check_is_scene

_FLIP = torch.diag(torch.tensor([1.0, -1, -1, 1], dtype=torch.float64))


def save_path(path: CameraPath | Tensor, scene: MPI, out: str | Path, fps: float = 30) -> None:
    """Writes a camera path.

    Args:
        path: The path.
        scene: The scene that it is for: fields of view and the size of the pictures are its own.
        out: File to write: `transforms.json` and other names that end in `transforms.json` are in NeRF's Blender
            format, other `.json` files are nerfstudio's camera paths, `.txt` is COLMAP's images.txt.
        fps: Frames per second, above 0.01, at most 240.

    Raises:
        InputError: For another ending, for no path, a frame rate out of range, or when the file cannot be written.
    """
    name = str(out).lower()
    if not name.endswith((".json", ".txt")):
        raise InputError(f"cannot write the camera path {out}: give a name that ends in .json or .txt")
    check_writable(out)
    check_fps(fps)
    path = as_path(path)
    check_is_scene(scene)
    if name.endswith(".txt"):
        text = _images_txt(path)
    else:
        write = _transforms if name.endswith("transforms.json") else _nerfstudio
        text = json.dumps(write(path, scene, float(fps)), indent=1)
    with replacing(out) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _nerfstudio(path: CameraPath, scene: MPI, fps: float) -> dict[str, object]:
    """nerfstudio's camera path."""
    (height, width), matrices = scene.size, _camera_to_world(path)
    focal = 2 * float(scene.K[1, 1]) / scene.plane_size[0]  # in half heights
    fovs = [math.degrees(2 * math.atan(1 / (focal * factor))) for factor in path.focal.tolist()]
    cameras = [
        {"camera_to_world": matrix.flatten().tolist(), "fov": fov, "aspect": width / height}
        for matrix, fov in zip(matrices, fovs, strict=True)
    ]
    ends = sorted({0, len(cameras) - 1})
    keyframes = [
        # three.js writes matrices column by column
        {"matrix": json.dumps(matrices[i].T.flatten().tolist()), "fov": fovs[i], "aspect": width / height}
        for i in ends
    ]
    return {
        "camera_type": "perspective",
        "render_height": height,
        "render_width": width,
        "fps": fps,
        "seconds": len(cameras) / fps,
        "smoothness_value": 0,
        "is_cycle": False,
        "keyframes": keyframes,
        "camera_path": cameras,
        "mine": _own(path, focal),
    }


def _transforms(path: CameraPath, scene: MPI, fps: float) -> dict[str, object]:
    """NeRF's Blender format."""
    focal = 2 * float(scene.K[0, 0]) / scene.plane_size[1]  # in half widths
    frames = [
        {
            "file_path": f"{number:06d}.png",
            "camera_angle_x": 2 * math.atan(1 / (focal * factor)),
            "transform_matrix": matrix.tolist(),
        }
        for number, (matrix, factor) in enumerate(zip(_camera_to_world(path), path.focal.tolist(), strict=True))
    ]
    return {
        "camera_angle_x": 2 * math.atan(1 / focal),
        "w": scene.size[1],
        "h": scene.size[0],
        "fps": fps,
        "frames": frames,
        "mine": _own(path, focal),
    }


def _images_txt(path: CameraPath) -> str:
    """COLMAP's images.txt, without points."""
    from scipy.spatial.transform import Rotation

    quaternions = Rotation.from_matrix(path.poses[:, :3, :3].double().numpy()).as_quat()[:, [3, 0, 1, 2]]
    lines = ["# Image list with two lines of data per image:"]
    lines += ["#   IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME", "#   POINTS2D[] as (X, Y, POINT3D_ID)"]
    for number, values in enumerate(np.concatenate([quaternions, path.poses[:, :3, 3].double().numpy()], axis=1)):
        lines += [f"{number + 1} {' '.join(f'{value:.9g}' for value in values)} 1 {number:06d}.png", ""]
    return "\n".join(lines) + "\n"


def _own(path: CameraPath, focal: float) -> dict[str, object]:
    """What `mine.paths.load` reads besides the format."""
    shift = None if path.shift is None or not path.shift.any() else path.shift.tolist()
    return {"world": "source camera", "focal": focal, "shift": shift, "loop": is_closed(path)}


def _camera_to_world(path: CameraPath) -> Tensor:
    """(N, 4, 4) in OpenGL's axes, of the cameras and of the world."""
    return _FLIP @ torch.linalg.inv(path.poses.double()) @ _FLIP
