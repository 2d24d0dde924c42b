"""How sharp and how exact views are at a video's size: `python benchmarks/sharpness.py`.

Silhouettes: a generated photo with exact depth at the network's size (`mine.evaluation.silhouettes`), seen from both
ends of the default path. "network" are the scene's own planes, "view" planes of the view's resolution, lifted from the
depth. "opacities" are those too, but from what the scene's own planes show, whose depth is forgotten; in "blurred", the
opacities of each of them are means of 3x3 pixels, as a network may predict them.
"""

import argparse
import math
import time

import torch
import torch.nn.functional as F

from mine.evaluation.silhouettes import SHAPES, disparity_of_photo, edge_errors, generate_photo
from mine.kernels.memory import peak_memory
from mine.network.disparity.lift import lift_to_mpi, plane_disparities
from mine.network.input_size import network_size
from mine.output.camera_paths import swing
from mine.scene.camera import intrinsics, off_axis_shift, shift_principal_point
from mine.scene.depth import near_depth
from mine.scene.exif import phone_fov
from mine.scene.mpi import MPI
from mine.scene.resize import resize

REPETITIONS = 3
"""Further views whose least time is reported."""


def generated_scene(size: tuple[int, int], planes: int) -> MPI:
    """The generated photo as a scene."""
    photo, plane_size = generate_photo(size), network_size(*size)
    surface = disparity_of_photo(size, plane_size)
    disparity = plane_disparities(surface[None], planes)
    lifted = lift_to_mpi(resize(photo, plane_size)[None], surface[None], disparity[None])[0]
    K = intrinsics(plane_size, phone_fov((size[1], size[0])), aspect=size[1] / size[0])
    return MPI.from_planes(lifted, disparity, K, photo, surface)


def opacities_of(scene: MPI, blurred: bool) -> MPI:
    """The scene without the depth it was lifted from; `blurred` takes means of its opacities in windows of 3x3."""
    intervals = torch.cat([(1 / scene.disparity).diff(), torch.ones(1)])[:, None, None, None]
    opacity = 1 - torch.exp(-scene.sigma * intervals)
    if blurred:
        opacity = F.avg_pool2d(F.pad(opacity, [1] * 4, mode="replicate"), 3, 1)
    sigma = -torch.log1p(-opacity.clamp(max=1 - 1e-5)) / intervals
    return MPI(scene.rgb, sigma, scene.disparity, scene.K, scene.photo)


def row(name: str, scene: MPI, size: tuple[int, int], fine: bool) -> None:
    """Prints the errors of the silhouettes of one scene, and the time of its views."""
    poses, K = swing(4, depth=near_depth(scene))[[1, 3]], scene.intrinsics(size)
    targets = shift_principal_point(K.expand(2, 3, 3), off_axis_shift(poses))
    seconds = []
    for _ in range(1 + REPETITIONS):
        start = time.process_time()
        views = scene.render(poses, targets, size, fine=fine)
        seconds.append((time.process_time() - start) / 2)
    for shape in SHAPES:
        cases = zip(views.rgb, targets, poses.as_subclass(torch.Tensor), strict=True)
        errors = [edge_errors(shape, rgb, K, K_tgt, T, size) for rgb, K_tgt, T in cases]
        rms, step, fringe = (max(values) for values in zip(*errors, strict=True))
        print(f"{name:9} {shape:5} {rms:6.2f} px {step:6.2f} px {100 * fringe:6.1f} %")
    memory = peak_memory() or math.nan
    first, view = 2 * (seconds[0] - min(seconds)), min(seconds)
    print(f"{name:9} prepared in {first:.2f} s, a view in {view:.3f} s of one core, peak memory so far {memory:.2f} GB")


def main() -> None:
    """Prints two rows of silhouettes, and a row of times, for each kind of planes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=1920)
    parser.add_argument("--height", type=int, default=1280)
    parser.add_argument("--planes", type=int, default=32)
    options = parser.parse_args()
    size = (options.height, options.width)
    print(f"{'planes':9} {'shape':5} {'RMS':>9} {'step':>9} {'fringe':>8}")
    with torch.no_grad():
        scene = generated_scene(size, options.planes)
        row("network", scene, size, fine=False)
        row("view", scene, size, fine=True)
        for name, blurred in (("opacities", False), ("blurred", True)):
            row(name, opacities_of(scene, blurred), size, fine=True)


if __name__ == "__main__":
    main()
