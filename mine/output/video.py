"""Camera paths to videos: rendering and encoding side by side."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from mine.errors import InputError
from mine.output.camera_paths import CameraPath
from mine.output.framing import covering_zoom, zoomed
from mine.output.writers import Write, frame_writer, is_folder
from mine.render import View
from mine.scene.camera import check_poses
from mine.scene.depth import colour_depth, depth_range, disparity_16bit
from mine.scene.mpi import MPI

LONGEST_SIDE = 1920
"""Longest side in pixels of a video unless a size is given."""

LONGEST_GIF_SIDE = 480
"""GIFs hardly compress: three seconds at this size are about 10 MB."""

PIXELS_AT_ONCE = 1 << 21
"""Pixels rendered in one call: enough to amortise what each call prepares, little memory."""

WAITING = 2
"""Rendered chunks that may wait for the encoder."""


def render_video(
    scene: MPI,
    path: Tensor | CameraPath,
    out: str | Path,
    fps: float = 30,
    depth: str | Path | None = None,
    *,
    size: tuple[int, int] | None = None,
    crop: bool = True,
    progress: Callable[[float], None] | None = None,
) -> None:
    """Renders `scene` along a camera path and writes the frames to `out`.

    path: (N, 4, 4) target-from-source poses, or a CameraPath that zooms too. out: .mp4, .m4v or .mov (H.264), .gif or
    .webp (they loop), or a folder of numbered PNGs when it has no extension or ends in a slash. fps: frames per second.
    depth: where to write the depth as well: colours by disparity, one scale for the whole clip, near is bright; or, for
    a folder, 16-bit PNGs with disparity = value / 65535 · the number under "largest_disparity" in their metadata.
    size: (H, W); by default the scene's own, even, at most 1920 a side (GIFs 480). crop: zoom in, by at most 1.2, just
    enough that the moving camera does not look past the photo's edges. progress: called with the share done, 0 to 1;
    by default a bar on standard error when that is a terminal.

    Raises InputError for an unknown extension, a bad frame rate or size, poses that are not finite, and when a file
    cannot be written. A run that fails or is stopped leaves no file behind.
    """
    path = _camera_path(path)
    if depth is not None and Path(depth).resolve() == Path(out).resolve():
        raise InputError(f"depth and colour would both be written to {out}: give them different names")
    size = size or default_size(scene.size, LONGEST_GIF_SIDE if Path(out).suffix.lower() == ".gif" else LONGEST_SIDE)
    with ExitStack() as stack:
        writes = [_colour_writer(stack, out, size, fps)]
        if depth is not None:
            writes.append(_depth_writer(stack, scene, depth, size, fps))
        report = progress or _bar(stack)
        encoder = stack.enter_context(ThreadPoolExecutor(1))
        waiting: deque[Future[None]] = deque()
        done = 0
        for view in render_path(scene, path, size, crop):
            if len(waiting) == WAITING:
                waiting.popleft().result()
            waiting.append(encoder.submit(_write_all, writes, view))
            done += len(view.rgb)
            report(done / len(path.poses))
        for future in waiting:
            future.result()


def render_path(
    scene: MPI, path: Tensor | CameraPath, size: tuple[int, int] | None = None, crop: bool = True
) -> Iterator[View]:
    """Views along a path, a few frames at a time; see `render_video` for the arguments."""
    path = _camera_path(path)
    size = size or default_size(scene.size)
    zoom = covering_zoom(scene, *path) if crop else 1.0
    K = zoomed(scene.intrinsics(size), path.focal * zoom)
    chunk = max(1, PIXELS_AT_ONCE // (size[0] * size[1]))
    for start in range(0, len(K), chunk):
        with torch.no_grad():
            yield scene.render(path.poses[start : start + chunk], K[start : start + chunk], size)


def default_size(size: tuple[int, int], longest: int = LONGEST_SIDE) -> tuple[int, int]:
    """`size` (H, W) shrunk so that neither side exceeds `longest`, both even, as video encoders want them."""
    shrink = min(1.0, longest / max(size))
    height, width = (max(2, 2 * round(side * shrink / 2)) for side in size)
    return height, width


def _camera_path(path: Tensor | CameraPath) -> CameraPath:
    if not isinstance(path, CameraPath):
        path = CameraPath(path[None] if path.ndim == 2 else path, torch.ones(1 if path.ndim == 2 else len(path)))
    check_poses(path.poses)
    if len(path.poses) == 0:
        raise InputError("the camera path has no poses: give at least one")
    if path.focal.shape != path.poses.shape[:1] or not (path.focal.isfinite() & (path.focal > 0)).all():
        raise InputError("the camera path's focal factors must be positive, one for each pose")
    return path


def _colour_writer(stack: ExitStack, out: str | Path, size: tuple[int, int], fps: float) -> Callable[[View], None]:
    write = stack.enter_context(frame_writer(out, size, fps))

    def write_colour(view: View) -> None:
        frames = (view.rgb.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        for frame in frames:
            write(frame)

    return write_colour


def _depth_writer(
    stack: ExitStack, scene: MPI, out: str | Path, size: tuple[int, int], fps: float
) -> Callable[[View], None]:
    # A camera that moves forward sees larger disparities than the source did; twice as large fits the scale.
    largest = 2 * float(scene.disparity[0])
    write: Write = stack.enter_context(frame_writer(out, size, fps, {"largest_disparity": repr(largest)}))
    near, far = depth_range(scene)

    def write_depth(view: View) -> None:
        frames = disparity_16bit(view.depth, largest) if is_folder(out) else colour_depth(view.depth, near, far)
        for frame in frames:
            write(frame)

    return write_depth


def _write_all(writes: list[Callable[[View], None]], view: View) -> None:
    for write in writes:
        write(view)


def _bar(stack: ExitStack) -> Callable[[float], None]:
    """A progress bar on standard error that vanishes when done; silent when nobody watches."""
    console = Console(stderr=True)
    bar = stack.enter_context(Progress(console=console, transient=True, disable=not console.is_terminal))
    task = bar.add_task("rendering", total=1.0)
    return lambda share: bar.update(task, completed=share)
