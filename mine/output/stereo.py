"""Stereo pairs: what the two eyes see, side by side or as a red-cyan anaglyph."""

from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mine.errors import InputError
from mine.files import replacing
from mine.output.camera_paths import PIVOT
from mine.output.framing import covering_zoom, shifted, zoomed
from mine.render import View
from mine.scene.camera import pose
from mine.scene.depth import near_depth
from mine.scene.mpi import MPI

Layout = Literal["side-by-side", "cross-eyed", "anaglyph"]

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp")

BASELINE = 0.05
"""Distance between the eyes in units of the near depth: a little more than the 1/30 of stereo photographers."""


def render_stereo(scene: MPI, out: str | Path, layout: Layout = "side-by-side", baseline: float = BASELINE) -> None:
    """Writes a stereo picture of the scene to a .jpg, .png or .webp file.

    layout: "side-by-side" (left eye on the left), "cross-eyed" (on the right) or "anaglyph" (for red-cyan glasses).
    baseline: distance between the eyes in units of the scene's near depth.

    Raises InputError for an unknown layout or extension, a baseline out of range, and when the file cannot be written.
    """
    if layout not in get_args(Layout):
        raise InputError(f"unknown stereo layout {layout!r}: choose one of {', '.join(get_args(Layout))}")
    if Path(out).suffix.lower() not in EXTENSIONS:
        raise InputError(f"cannot write {out}: use {', '.join(EXTENSIONS)}")
    left, right = stereo_pair(scene, baseline).rgb
    picture = {
        "side-by-side": lambda: torch.cat([left, right], dim=2),
        "cross-eyed": lambda: torch.cat([right, left], dim=2),
        "anaglyph": lambda: anaglyph(left, right),
    }[layout]()
    pixels = (picture.clamp(0, 1) * 255).round().to(torch.uint8).movedim(0, 2).cpu().numpy()
    with replacing(out) as temporary:
        try:
            Image.fromarray(np.ascontiguousarray(pixels)).save(temporary, quality=95)
        except OSError as error:
            raise InputError(f"cannot write {out} ({error.strerror or error})") from error


def stereo_pair(scene: MPI, baseline: float = BASELINE) -> View:
    """What the left and the right eye see, as a batch of two views at the scene's own size.

    The eyes look in parallel and their pictures are shifted so that the pivot, halfway in disparity between the nearest
    things and infinity, lies in the plane of the screen: turning the eyes inwards would move corners up and down.
    The pictures are cropped as videos are. Raises InputError unless baseline is finite and above 0, at most 1.
    """
    if not 0 < baseline <= 1:
        raise InputError(f"baseline {baseline} is out of range: give a share of the near depth above 0, at most 1")
    near = near_depth(scene)
    eyes = torch.tensor([[-1.0, 0, 0], [1, 0, 0]]) * baseline * near / 2
    poses = pose(translation=-eyes)
    K = scene.intrinsics(scene.size)
    shift = eyes[:, 0].to(K) / (PIVOT * near)
    zoom = covering_zoom(scene, poses, torch.ones(2), shift)
    with torch.no_grad():
        return scene.render(poses, shifted(zoomed(K, torch.full((2,), zoom)), shift))


def anaglyph(left: Tensor, right: Tensor) -> Tensor:
    """One picture (3, H, W) for red-cyan glasses from two: the left one's brightness in red, the right one's cyan.

    Brightness (BT.709) rather than the left picture's red: strong reds would flicker between the eyes.
    """
    brightness = torch.einsum("c,chw->hw", left.new_tensor([0.2126, 0.7152, 0.0722]), left)
    return torch.cat([brightness[None], right[1:]])
