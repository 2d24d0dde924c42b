"""Stereo images of a scene: both eyes' views side by side, or as a red-cyan anaglyph."""

from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mine.errors import InputError
from mine.files import check_writable, replacing
from mine.output.camera_paths import PIVOT
from mine.output.framing import covering_zoom, zoom_intrinsics
from mine.render import View
from mine.scene.camera import OffAxisPoses, off_axis_shift, pose, shift_principal_point
from mine.scene.depth import near_depth
from mine.scene.mpi import MPI

Layout = Literal["side-by-side", "cross-eyed", "anaglyph"]

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp")

BASELINE = 0.05
"""Distance between the eyes in near depths: a little more than stereo photographers' rule of 1/30."""


def render_stereo(scene: MPI, out: str | Path, layout: Layout = "side-by-side", baseline: float = BASELINE) -> None:
    """Renders a stereo pair of a scene and writes it as one image.

    Args:
        scene: The scene.
        out: Image file to write: .jpg, .jpeg, .png or .webp.
        layout: "side-by-side" (left eye's view on the left), "cross-eyed" (on the right), or "anaglyph" (for red-cyan
            glasses).
        baseline: Distance between the eyes in the scene's near depths (`near_depth`), above 0, at most 1.

    Raises:
        InputError: For an unknown layout or extension, a baseline out of range, or a file that cannot be written.
    """
    if layout not in get_args(Layout):
        raise InputError(f"unknown stereo layout {layout!r}: choose one of {', '.join(get_args(Layout))}")
    if Path(out).suffix.lower() not in EXTENSIONS:
        raise InputError(f"cannot write {out}: use {', '.join(EXTENSIONS)}")
    check_writable(out)
    left, right = stereo_pair(scene, baseline).rgb
    image = {
        "side-by-side": lambda: torch.cat([left, right], dim=2),
        "cross-eyed": lambda: torch.cat([right, left], dim=2),
        "anaglyph": lambda: anaglyph(left, right),
    }[layout]()
    pixels = (image.clamp(0, 1) * 255).round().to(torch.uint8).movedim(0, 2).cpu().numpy()
    with replacing(out) as temporary:
        Image.fromarray(np.ascontiguousarray(pixels)).save(temporary, quality=95)


def stereo_pair(scene: MPI, baseline: float = BASELINE) -> View:
    """Renders the views of the left and the right eye.

    The optical axes are parallel and the principal points are shifted so that the pivot (`camera_paths.PIVOT`) appears
    in the plane of the screen; converging axes would cause vertical disparity in the corners. Both views are zoomed in
    as videos are (`covering_zoom`).

    Args:
        scene: The scene.
        baseline: Distance between the eyes in the scene's near depths (`near_depth`), above 0, at most 1.

    Returns:
        A batch of two views, left and right, at the scene's own size.

    Raises:
        InputError: For a baseline out of range.
    """
    if not 0 < baseline <= 1:
        raise InputError(f"baseline {baseline} is out of range: give a fraction of the near depth above 0, at most 1")
    near = near_depth(scene)
    eyes = torch.tensor([[-1.0, 0, 0], [1, 0, 0]]) * baseline * near / 2
    poses = OffAxisPoses.about(pose(translation=-eyes), PIVOT * near)
    K, shift = scene.intrinsics(scene.size), off_axis_shift(poses)
    zoom = covering_zoom(scene, poses, torch.ones(2), shift)
    with torch.no_grad():
        return scene.render(poses, shift_principal_point(zoom_intrinsics(K, torch.full((2,), zoom)), shift))


def anaglyph(left: Tensor, right: Tensor) -> Tensor:
    """Combines two views for red-cyan glasses: red from the left view's luma (BT.709), green and blue of the right.

    Luma rather than the left view's red channel, because saturated reds would flicker between the eyes.

    Args:
        left: RGB (3, H, W) in [0, 1].
        right: RGB (3, H, W) in [0, 1].

    Returns:
        RGB (3, H, W) in [0, 1].
    """
    luma = torch.einsum("c,chw->hw", left.new_tensor([0.2126, 0.7152, 0.0722]), left)
    return torch.cat([luma[None], right[1:]])
