"""How steady clips are: `python benchmarks/steadiness.py`.

Slope: consecutive frames of the default path, ten times slower, over a generated slope whose views are known in closed
form (`mine.evaluation.steadiness`), from the scene's own planes and from planes of the view's resolution. Errors in
levels of 255, root mean square: of the frames; of their second differences from frame to frame, which planes that pop
up would raise; and of these on the flat half of the photo.

Sky: a dark gradient that moves slowly, with and without a photo's noise, through the video encoder. Levels of 255 that
the decoded frames differ from the gradient, in windows of 9x9 pixels, and second differences from frame to frame.
"""

import argparse
import tempfile
from pathlib import Path

import cv2
import imageio.v3 as iio
import numpy as np
import torch

from mine.evaluation.steadiness import errors, slope_disparity, slope_photo, slope_view
from mine.network.disparity.lift import lift_to_mpi, plane_disparities
from mine.network.input_size import network_size
from mine.output.camera_paths import swing
from mine.output.writers import frame_encoder
from mine.scene.camera import intrinsics, off_axis_shift, shift_principal_point
from mine.scene.mpi import MPI
from mine.scene.resize import resize

FRAMES, SLOWER = 12, 10
"""Frames that are compared, and how much slower than the default path of 90 frames they are."""


def slope(size: tuple[int, int], planes: int, fine: bool) -> tuple[float, float, float]:
    """Errors of a slow clip over the slope; `fine` lets views have planes of their own resolution."""
    photo, plane_size = slope_photo(size), network_size(*size)
    surface = slope_disparity(plane_size)
    disparity = plane_disparities(surface[None], planes)
    lifted = lift_to_mpi(resize(photo, plane_size)[None], surface[None], disparity[None])[0]
    scene = MPI.from_planes(lifted, disparity, intrinsics(plane_size, 65.0, aspect=size[1] / size[0]), photo, surface)
    poses, K = swing(90 * SLOWER, depth=1.0)[120 : 120 + FRAMES], scene.intrinsics(size)
    targets = shift_principal_point(K.expand(FRAMES, 3, 3), off_axis_shift(poses))
    poses = poses.as_subclass(torch.Tensor)
    views = torch.cat([scene.render(T, K_tgt, size, fine=fine).rgb for T, K_tgt in zip(poses, targets, strict=True)])
    expected = torch.stack([slope_view(size, K, K_tgt, T) for T, K_tgt in zip(poses, targets, strict=True)])
    return errors(views, expected.float(), size[1] // 12)


def sky(noise: float) -> tuple[float, float]:
    """Errors of a sky with noise of that many levels, after the video encoder."""
    size, grain = (480, 640), np.random.default_rng(0).normal(size=(480, 700, 3)).astype(np.float32)
    y, x = np.linspace(0, 1, size[0])[:, None, None], np.linspace(0, 1, size[1])[None, :, None]
    clean = [np.array([40, 70, 120]) + np.array([18, 20, 24]) * (y + 0.3 * (x + 5e-4 * n)) for n in range(24)]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "sky.mp4")
        with frame_encoder(out, out, size, 30) as write:
            for n, frame in enumerate(clean):
                moved = cv2.warpAffine(grain, np.array([[1, 0, -0.37 * n], [0, 1, 0]]), (700, 480))[:, : size[1]]
                write(np.clip(np.rint(frame + noise * moved), 0, 255).astype(np.uint8))
        decoded = [frame.astype(np.float32) for frame in iio.imiter(out, plugin="pyav")]
    blurred = np.stack([cv2.blur(d, (9, 9)) for d in decoded])
    wrong = (blurred - np.stack([cv2.blur(c.astype(np.float32), (9, 9)) for c in clean]))[:, 16:-16, 16:-16]
    wrong -= wrong.mean((1, 2), keepdims=True)
    return float(np.sqrt((wrong**2).mean())), float(np.sqrt((np.diff(blurred, n=2, axis=0) ** 2).mean()))


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=1920)
    parser.add_argument("--height", type=int, default=1280)
    parser.add_argument("--planes", type=int, default=32)
    options = parser.parse_args()
    with torch.no_grad():
        for name, fine in (("network", False), ("view", True)):
            wrong, change, flat = slope((options.height, options.width), options.planes, fine)
            print(f"slope, {name:7} planes: error {wrong:.2f}, change {change:.3f}, on the flat half {flat:.3f}")
    for noise in (0.0, 1.0):
        print("sky, noise {:.0f}: error {:.2f}, change {:.2f}".format(noise, *sky(noise)))


if __name__ == "__main__":
    main()
