"""Stereo images and videos of a scene.

Both cameras face the same way and stand side by side. Their principal points are shifted so that the pivot
(`camera_paths.PIVOT`) appears in the plane of the screen; converging axes would cause vertical disparity in the
corners.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mine.errors import InputError
from mine.files import check_name, check_writable, replacing
from mine.output.camera_path import CameraPath
from mine.output.camera_paths import PIVOT, lens_factor
from mine.output.path_edits import as_path
from mine.output.quilt import DEFAULT_SIDE, make_quilt
from mine.output.spherical import add_stereo_metadata
from mine.output.stereo_layouts import COLOUR_CODED, COMBINE
from mine.output.stereo_options import (
    DEFAULT_QUILT,
    check_eye_distance,
    check_layout,
    check_quilt,
    check_size,
    is_still,
    quilt_name,
)
from mine.output.video import LONGEST_GIF_SIDE, default_size, encode_behind, progress_bar, render_path, render_video
from mine.output.vr180 import EYE_SIDE, HalfSphere
from mine.output.writers import WriteFrame, check_output, frame_encoder
from mine.render import View
from mine.scene.depth import depth_range, near_depth
from mine.scene.mpi import MPI, check_is_scene
from mine.scene.pixels import to_uint8

Layout = Literal["side-by-side", "cross-eyed", "anaglyph"]
"""Layouts that the web demo offers; "side-by-side" is the long name of "sbs"."""

BASELINE = 0.05
"""Distance between the eyes in near depths: a little more than stereo photographers' rule of 1/30."""

MAX_BASELINE = 0.15
"""Most of it that an eye distance in per cent becomes, where a scene is flat: more would uncover too much."""

WIGGLE_FRAMES = 6
"""Frames of a wigglegram, there and back."""

WIGGLE_FPS = 9.0
"""Its frames per second."""


def render_stereo(
    scene: MPI,
    out: str | Path,
    layout: str = "sbs",
    baseline: float | None = None,
    *,
    eye_distance: float | None = None,
    path: CameraPath | Tensor | None = None,
    fps: float | None = None,
    size: int | None = None,
    quilt: tuple[int, int] = DEFAULT_QUILT,
    codec: str | None = None,
    progress: Callable[[float], None] | None = None,
) -> Path:
    """Renders a scene for two eyes and writes one image, or a video along a camera path.

    Args:
        scene: The scene.
        out: Image (.jpg, .jpeg, .png, .webp) of the source camera's view, or a video as for `render_video`.
        layout: One of `mine.output.stereo_options.LAYOUTS`.
        baseline: Distance between the eyes in the scene's near depths (`near_depth`), above 0, at most 1; by default
            0.05, less with long lenses (`camera_paths.lens_factor`).
        eye_distance: The same in another measure: by how many per cent of the picture's width the nearest things move
            between the eyes, compared with the farthest. 1 to 4 are comfortable.
        path: Poses or path of a video; wigglegrams and images have none.
        fps: Frames per second; by default 30, and 9 for wigglegrams.
        size: Longest side in pixels, at least 2, of one eye's view or of the whole quilt; by default the scene's, at
            most 1920.
        quilt: Columns and rows of a quilt.
        codec: See `render_video`.
        progress: See `render_video`; of an image it is called once.

    Returns:
        The file written: `out`, or the name that a quilt's form was added to.

    Raises:
        InputError: For an unknown layout or extension, a distance or size out of range, or a file that cannot be
            written.
    """
    layout = "sbs" if layout == "side-by-side" else layout
    check_is_scene(scene)
    check_name(out)
    check_layout(out, layout)
    rate = (WIGGLE_FPS if layout == "wigglegram" else 30) if fps is None else fps
    if is_still(out, layout):
        check_writable(out)
    else:
        check_output(out, (2, 2), rate, codec)
    check_quilt(quilt)
    check_size(size)
    near = near_depth(scene)
    eyes = eye_baseline(scene, near, baseline, eye_distance)
    if layout == "wigglegram":
        default = LONGEST_GIF_SIDE if Path(out).suffix.lower() == ".gif" else default_longest(scene)
        longest = default if size is None else size
        wiggle = wiggle_path(eyes, PIVOT * near)
        render_video(scene, wiggle, out, rate, size=default_size(scene.size, longest), codec=codec, progress=progress)
        return Path(out)
    if layout == "quilt":
        out = quilt_name(out, *quilt, scene.size[1] / scene.size[0])
        image = make_quilt(scene, eyes, PIVOT * near, quilt, DEFAULT_SIDE if size is None else size)
        _save(image, out, layout, progress)
        return out
    moving = CameraPath.of(torch.eye(4)[None]) if is_still(out, layout) or path is None else as_path(path)
    frames = _eyes(scene, moving, layout, eyes, PIVOT * near, size, is_still(out, layout))
    if is_still(out, layout):
        _save(next(frames)[0], out, layout, progress)
    else:
        _write_video(frames, len(moving.poses), out, rate, codec, layout, progress)
    return Path(out)


def _eyes(
    scene: MPI, path: CameraPath, layout: str, baseline: float, pivot: float, size: int | None, still: bool
) -> Iterator[Tensor]:
    """Frames (n, 3, H, W) of a layout along a path; stills have the scene's own size unless one is given."""
    if layout == "vr180":
        sphere = HalfSphere(scene, EYE_SIDE if size is None else size)
        # Angles are true for the source camera's intrinsics alone: the cameras move, and neither zoom nor shift.
        moving = eye_path(CameraPath(path.poses, torch.ones(len(path.poses))), baseline, None)
        views = render_path(scene, moving, sphere.view_size, crop=False)
        return _combined(views, sphere.combine)
    view_size = scene.size if still and size is None else _view_size(scene, size)
    return _combined(render_path(scene, eye_path(path, baseline, pivot), view_size), COMBINE[layout])


def eye_baseline(scene: MPI, near: float, baseline: float | None, eye_distance: float | None) -> float:
    """Distance between the eyes in scene units; the arguments are those of `render_stereo`, `near` the near depth."""
    if eye_distance is None:
        baseline = BASELINE * lens_factor(scene) if baseline is None else baseline
        if not 0 < baseline <= 1:
            raise InputError(
                f"baseline {baseline} is out of range: give a fraction of the near depth above 0, at most 1"
            )
        return baseline * near
    check_eye_distance(eye_distance)
    nearest, farthest = depth_range(scene)
    focal = float(scene.K[0, 0]) / scene.plane_size[1]
    return min(eye_distance / 100 / focal / (1 / nearest - 1 / farthest), MAX_BASELINE * near)


def eye_path(path: CameraPath, baseline: float, pivot: float | None) -> CameraPath:
    """The path of both eyes around a camera's path.

    Args:
        path: N poses.
        baseline: Distance between the eyes in scene units.
        pivot: Depth of what appears in the plane of the screen, in front of the source camera; None is infinity.

    Returns:
        2 N poses: left, right, left, right and so on.
    """
    poses = path.poses.float().repeat_interleave(2, 0)
    side = torch.tensor([[1], [-1]]).to(poses) * baseline / 2  # what lies right of the left eye moves right
    moved = poses.clone()
    moved[:, 0, 3] += side.repeat(len(path.poses), 1)[:, 0]
    shift = torch.zeros(len(path.poses), 2) if path.shift is None else path.shift
    shift = shift.float().repeat_interleave(2, 0)
    if pivot is not None:
        distance = (pivot + poses[:, 2, 3]).clamp(min=pivot / 100)
        shift = shift - torch.stack([(moved - poses)[:, 0, 3] / distance, torch.zeros_like(distance)], dim=1)
    return CameraPath(moved, path.focal.repeat_interleave(2, 0), shift)


def wiggle_path(baseline: float, pivot: float) -> CameraPath:
    """A path from the left to the right eye and back, evenly spaced, that loops."""
    there = torch.linspace(-1, 1, WIGGLE_FRAMES // 2 + 1, dtype=torch.float32)
    offset = torch.cat([there, there.flip(0)[1:-1]]) * baseline / 2
    poses = torch.eye(4, dtype=offset.dtype).repeat(len(offset), 1, 1)
    poses[:, 0, 3] = -offset
    return CameraPath(poses, torch.ones(len(offset)), torch.stack([offset / pivot, 0 * offset], dim=1))


def default_longest(scene: MPI) -> int:
    """Longest side of one eye's view in a video."""
    return max(default_size(scene.size))


def _view_size(scene: MPI, size: int | None) -> tuple[int, int]:
    """(H, W) of one eye's view in a video: even, so that all layouts are."""
    height, width = default_size(scene.size, default_longest(scene) if size is None else size)
    return height, width


def _combined(views: Iterator[View], combine: Callable[[Tensor, Tensor], Tensor]) -> Iterator[Tensor]:
    """Frames (n, 3, H, W) from batches of views, which alternate between the eyes but may end between them."""
    waiting: Tensor | None = None
    for view in views:
        rgb = view.rgb if waiting is None else torch.cat([waiting, view.rgb])
        pairs = len(rgb) // 2
        waiting = rgb[2 * pairs :]
        if pairs:
            yield combine(rgb[0 : 2 * pairs : 2], rgb[1 : 2 * pairs : 2])


def _write_video(
    frames: Iterator[Tensor],
    count: int,
    out: str | Path,
    fps: float,
    codec: str | None,
    layout: str,
    progress: Callable[[float], None] | None,
) -> None:
    """Encodes `count` frames that come in batches, and adds what players read of the layout."""
    first = next(frames)
    size = (first.shape[-2], first.shape[-1])
    check_output(out, size, fps, codec, count)

    def all_frames() -> Iterator[Tensor]:
        yield first
        yield from frames

    with ExitStack() as stack:
        report = progress or progress_bar(stack)
        temporary = stack.enter_context(replacing(out))
        with frame_encoder(out, temporary, size, fps, codec=codec) as write:
            done = 0
            for batch in encode_behind(_writer(write), all_frames()):
                done += len(batch)
                report(done / count)
        add_stereo_metadata(temporary, layout)


def _writer(write: WriteFrame) -> Callable[[Tensor], None]:
    """A function that appends a batch of frames (n, 3, H, W)."""

    def write_frames(frames: Tensor) -> None:
        for pixels in _pixels(frames):
            write(pixels)

    return write_frames


def _pixels(images: Tensor) -> np.ndarray:
    """Images (n, 3, H, W), uint8 or in [0, 1], as (n, H, W, 3) uint8."""
    if images.dtype != torch.uint8:
        images = to_uint8(images)
    return images.movedim(1, -1).contiguous().cpu().numpy()


def _save(image: Tensor, out: str | Path, layout: str, progress: Callable[[float], None] | None) -> None:
    """Writes an image (3, H, W) in [0, 1]. Where colours tell the eyes apart, files keep them at full resolution."""
    options: dict[str, Any] = {"quality": 95}
    if layout in COLOUR_CODED:
        lossless = Path(out).suffix.lower() == ".webp"  # whose quality is then the effort that is spent
        options = {"lossless": True, "quality": 60} if lossless else {"quality": 95, "subsampling": 0}
    with replacing(out) as temporary:
        Image.fromarray(_pixels(image[None])[0]).save(temporary, **options)
    if progress is not None:
        progress(1.0)
