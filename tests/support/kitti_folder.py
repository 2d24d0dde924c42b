"""A folder of miniature drives in the layout of KITTI raw."""

from pathlib import Path

import numpy as np
from colmap_scene import render_dots

WIDTH, HEIGHT = 180, 56
DRIVES = ("2011_09_26_drive_0001_sync", "2011_09_26_drive_0002_sync", "2011_09_28_drive_0001_sync")
K = np.array([[90.0, 0, 88.3], [0, 90.0, 27.1], [0, 0, 1]])
SHIFT = {"02": np.array([0.06, 0.001, 0.003]), "03": np.array([-0.47, 0.002, 0.002])}
POINTS = np.array([[x, y, 5 + 0.5 * abs(x)] for x in np.linspace(-3.5, 3.5, 7) for y in (-0.9, 0.1, 1.0)])


def write_drive(root: Path, drive: str, frames: int = 2) -> None:
    date = root / drive[:10]
    date.mkdir(parents=True, exist_ok=True)
    lines = ["calib_time: 09-Jan-2012 13:57:47", "corner_dist: 9.95e-02"]
    for side, shift in SHIFT.items():
        P = K @ np.column_stack([np.eye(3), shift])
        lines.append(f"S_rect_{side}: {WIDTH:.6e} {HEIGHT:.6e}")
        lines.append(f"P_rect_{side}: " + " ".join(f"{value:.8e}" for value in P.ravel()))
        pixels = (POINTS + shift) @ K.T
        folder = date / drive / f"image_{side}" / "data"
        folder.mkdir(parents=True)
        for number in range(frames):
            render_dots(pixels[:, :2] / pixels[:, 2:] + 0.5, (HEIGHT, WIDTH)).save(folder / f"{number:010d}.png")
    (date / "calib_cam_to_cam.txt").write_text("\n".join(lines) + "\n")
