"""Videos of a scene along a camera path. Frames are rendered in one thread while another encodes them."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch
from rich.console import Console
from rich.progress import Progress

from mine.errors import InputError
from mine.files import check_name, replacing_together
from mine.output.camera_path import CameraPath
from mine.output.framing import covering_zoom, crop_intrinsics, zoom_intrinsics
from mine.output.lens import Lens, render_lens
from mine.output.path_edits import as_path
from mine.output.writers import WriteFrame, check_output, frame_encoder, is_folder
from mine.render import View
from mine.scene.as_tensor import ArrayLike
from mine.scene.camera import shift_principal_point
from mine.scene.depth import colour_depth, depth_range, disparity_16bit
from mine.scene.limits import as_size
from mine.scene.mpi import MPI, check_is_scene

Batch = TypeVar("Batch")

LONGEST_SIDE = 1920
"""Longest side in pixels of a video unless a size is given."""

LONGEST_GIF_SIDE = 480
"""Longest side in pixels of a GIF unless a size is given: three seconds at this size are about 10 MB."""

CHUNK_PIXELS = 1 << 21
"""Pixels rendered per call: enough to amortise what each call prepares, and little memory."""

MAX_QUEUED = 2
"""Rendered chunks that may wait for the encoder: bounds the memory of long videos."""

MAX_QUEUED_PIXELS = 1 << 22
"""Pixels of the largest frames that wait: 4K takes 0.2 GB a frame, beside the 3 GB of its planes."""


def render_video(
    scene: MPI,
    path: ArrayLike | CameraPath,
    out: str | Path,
    fps: float = 30,
    depth: str | Path | None = None,
    *,
    size: tuple[int, int] | None = None,
    crop: bool = True,
    codec: str | None = None,
    lens: Lens | None = None,
    progress: Callable[[float], None] | None = None,
) -> None:
    """Renders a scene along a camera path and writes a video of the views, and one of their depth if requested.

    A run that fails or is interrupted leaves no file behind, and keeps those that were there before. Both videos
    appear together.

    Args:
        scene: The scene.
        path: (N, 4, 4) target-from-source poses, or a CameraPath, which changes the intrinsics too.
        out: Video to write: .mp4, .m4v, .mov or .mkv (H.264), .webm (VP9), .gif, .webp or .apng (these loop); or a
            folder of numbered PNGs, when the name has no extension or ends in a slash.
        fps: Frames per second, above 0.01, at most 240; of a GIF at most 50.
        depth: Depth video to write as well, named like `out`; by default none. A video shows disparity by colour, near
            is bright, with one scale for the whole clip. A folder holds 16-bit PNGs: disparity in 1 / scene units is
            value / 65535 times the number "largest_disparity" in the PNG's metadata.
        size: (H, W) in pixels; by default the scene's own, made even, at most 1920 a side (480 for a GIF).
        crop: Zoom in, by at most 1.2, just enough that no view shows what lies outside the photo (`covering_zoom`).
        codec: "h264", "hevc", "vp9", "av1" or "prores" (10 bits, for editing) instead of what the extension stands for;
            `mine.output.writers.CODECS` has the extensions of each.
        lens: Depth of field (`mine.output.lens.make_lens`); by default all is sharp.
        progress: Called with the fraction done, 0 to 1. By default a progress bar is shown on standard error when that
            is a terminal.

    Raises:
        InputError: For an unknown extension, a frame rate or size out of range, poses that are not finite, or a file
            that cannot be written.
    """
    check_is_scene(scene)
    for name in (out,) if depth is None else (out, depth):
        check_name(name)
    path = as_path(path)
    if depth is not None and Path(depth).resolve() == Path(out).resolve():
        raise InputError(f"depth and colour would both be written to {out}: give them different names")
    longest = LONGEST_GIF_SIDE if Path(out).suffix.lower() == ".gif" else LONGEST_SIDE
    size = default_size(scene.size, longest) if size is None else as_size(size)
    outputs = [out] if depth is None else [out, depth]
    for output in outputs:
        check_output(output, size, fps, codec, len(path.poses))
    with ExitStack() as stack:
        temporary = stack.enter_context(replacing_together(outputs))
        writes = [_colour_writer(stack.enter_context(frame_encoder(out, temporary[0], size, fps, codec=codec)))]
        if depth is not None:
            # A camera that moves forward sees larger disparities than the source camera: leave room for twice as much.
            largest = 2 * float(scene.disparity[0])
            text = {"largest_disparity": repr(largest)}
            write = stack.enter_context(frame_encoder(depth, temporary[1], size, fps, text, codec))
            writes.append(_depth_writer(write, scene, largest if is_folder(depth) else None))
        report = progress or progress_bar(stack)
        done = 0
        queued = MAX_QUEUED if size[0] * size[1] <= MAX_QUEUED_PIXELS else 0
        for view in encode_behind(partial(_write_all, writes), render_path(scene, path, size, crop, lens), queued):
            done += len(view.rgb)
            del view  # a large one before the next is rendered
            report(done / len(path.poses))


def encode_behind(
    write: Callable[[Batch], None], batches: Iterator[Batch], queued: int = MAX_QUEUED
) -> Iterator[Batch]:
    """Encodes batches of frames in another thread while the next ones are rendered.

    Args:
        write: Encodes one batch.
        batches: What to encode.
        queued: Most batches that wait. With 0, the next one is rendered when one is encoded.

    Yields:
        Each batch as it is handed over; the end comes when all are written.
    """
    queue: deque[Future[None]] = deque()
    with ThreadPoolExecutor(1) as encoder:
        for batch in batches:
            if queue and len(queue) == queued:
                queue.popleft().result()
            queue.append(encoder.submit(write, batch))
            if not queued:
                queue.popleft().result()
            yield batch
            del batch
        for future in queue:
            future.result()


def render_path(
    scene: MPI,
    path: ArrayLike | CameraPath,
    size: tuple[int, int] | None = None,
    crop: bool = True,
    lens: Lens | None = None,
) -> Iterator[View]:
    """Renders the views along a camera path, a few frames at a time.

    Args:
        scene: The scene.
        path: (N, 4, 4) target-from-source poses, or a CameraPath.
        size: (H, W) in pixels; by default the scene's own, made even, at most 1920 a side.
        crop: Zoom in just enough that no view shows what lies outside the photo.
        lens: Blurs what is out of focus; by default all is sharp. `crop` looks through its middle: what is blurred at
            the border takes up the border's colours.

    Yields:
        Batches of consecutive views.

    Raises:
        InputError: For no path, or for a lens that was made for another number of poses.
    """
    path, scene = as_path(path), _without_gradients(scene)
    if lens is not None and len(lens.focus) != len(path.poses):
        raise InputError(f"the lens is for {len(lens.focus)} poses, the path has {len(path.poses)}: make one for these")
    size = size or default_size(scene.size)
    zoom = covering_zoom(scene, *path) if crop else 1.0
    K = zoom_intrinsics(scene.intrinsics(size), path.focal)
    K = crop_intrinsics(K if path.shift is None else shift_principal_point(K, path.shift), zoom, size)
    chunk = max(1, CHUNK_PIXELS // (size[0] * size[1]))
    if lens is not None:
        with torch.no_grad():
            yield from render_lens(scene, path, K, size, lens, chunk)
        return
    for start in range(0, len(K), chunk):
        with torch.no_grad():
            yield scene.render(path.poses[start : start + chunk], K[start : start + chunk], size)


def _without_gradients(scene: MPI) -> MPI:
    """The scene with parts that require no gradients, of which what views share can be kept."""
    if not scene.requires_grad:
        return scene
    parts = scene.planes, scene.disparity, scene.K, scene.photo, scene.surface, scene.background
    return MPI.from_planes(*(None if part is None else part.detach() for part in parts))  # type: ignore[arg-type]


def default_size(size: tuple[int, int], longest: int = LONGEST_SIDE) -> tuple[int, int]:
    """Shrinks a size so that neither side exceeds `longest`, and makes both sides even, as H.264 requires.

    Args:
        size: (H, W) in pixels.
        longest: Longest side allowed, in pixels, at least 2.

    Returns:
        (H, W) in pixels.
    """
    shrink = min(1.0, longest / max(size))
    height, width = (max(2, 2 * min(round(side * shrink / 2), longest // 2)) for side in size)
    return height, width


def _colour_writer(write: WriteFrame) -> Callable[[View], None]:
    """A function that appends the colours of a batch of views to a video."""

    def write_colour(view: View) -> None:
        for rgb in view.rgb:
            frame = torch.empty(*rgb.shape[1:], 3, dtype=torch.uint8)
            for channel, values in enumerate(rgb):  # one at a time: those of a large frame would take 0.1 GB each
                frame[..., channel] = values.mul(255).round_()
            write(frame.numpy())

    return write_colour


def _depth_writer(write: WriteFrame, scene: MPI, largest: float | None) -> Callable[[View], None]:
    """A function that appends the depth of a batch of views to a video: in colour, or in 16 bits up to `largest`."""
    near, far = depth_range(scene)

    def write_depth(view: View) -> None:
        frames = colour_depth(view.depth, near, far) if largest is None else disparity_16bit(view.depth, largest)
        for frame in frames:
            write(frame)

    return write_depth


def _write_all(writes: list[Callable[[View], None]], view: View) -> None:
    """Gives a batch of views to all videos."""
    for write in writes:
        write(view)


def progress_bar(stack: ExitStack) -> Callable[[float], None]:
    """A progress bar on standard error that vanishes when done; nothing when that is no terminal."""
    console = Console(stderr=True)
    bar = stack.enter_context(Progress(console=console, transient=True, disable=not console.is_terminal))
    task = bar.add_task("rendering", total=1.0)
    return lambda fraction: bar.update(task, completed=fraction)
