"""A miniature capture in COLMAP's text layout: every point is a bright dot in the images that see it."""

from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT, FOCAL = 160, 120, 150.0
DOT = 1.6
"""Standard deviation of a dot in pixels."""


def grid_points(columns: int = 8, rows: int = 6) -> np.ndarray:
    """(N, 3) world points on a slanted, wavy surface around depth 6."""
    x, y = np.meshgrid(np.linspace(-2.4, 2.4, columns), np.linspace(-1.6, 1.6, rows))
    return np.stack([x, y, 6 + 0.4 * x + 0.3 * np.cos(3 * y)], axis=-1).reshape(-1, 3)


def colmap_pixels(points: np.ndarray, centre: np.ndarray, yaw: float, distortion: float) -> np.ndarray:
    """Pixels (N, 2) of world points (N, 3) in COLMAP's convention: (0.5, 0.5) is the centre of the top-left pixel."""
    in_camera = (points - centre) @ rotation(yaw).T
    ray = in_camera[:, :2] / in_camera[:, 2:]
    ray = ray * (1 + distortion * (ray**2).sum(1, keepdims=True))
    return FOCAL * ray + [WIDTH / 2, HEIGHT / 2]


def rotation(yaw: float) -> np.ndarray:
    """Camera-from-world rotation about the vertical axis, by an angle in radians."""
    return np.array([[np.cos(yaw), 0, -np.sin(yaw)], [0, 1, 0], [np.sin(yaw), 0, np.cos(yaw)]])


def render_dots(pixels: np.ndarray, size: tuple[int, int] = (HEIGHT, WIDTH)) -> Image.Image:
    """An image of Gaussian dots on black at COLMAP pixels (N, 2)."""
    y, x = np.indices(size) + 0.5
    image = np.zeros(size)
    for u, v in pixels:
        image = np.maximum(image, np.exp(-((x - u) ** 2 + (y - v) ** 2) / (2 * DOT**2)))
    return Image.fromarray(np.repeat((255 * image).round().astype(np.uint8)[..., None], 3, axis=2))


def write_scene(
    folder: Path,
    centres: np.ndarray,
    yaws: np.ndarray | None = None,
    points: np.ndarray | None = None,
    distortion: float = 0.0,
    errors: np.ndarray | None = None,
) -> Path:
    """Writes `images/*.png` and `sparse/0/*.txt`; every point is seen by every camera. Returns `folder`."""
    points = grid_points() if points is None else points
    yaws = np.zeros(len(centres)) if yaws is None else yaws
    errors = np.full(len(points), 0.5) if errors is None else errors
    (folder / "images").mkdir(parents=True)
    sparse = folder / "sparse" / "0"
    sparse.mkdir(parents=True)
    model, extra = ("SIMPLE_RADIAL", f" {distortion}") if distortion else ("SIMPLE_PINHOLE", "")
    sparse.joinpath("cameras.txt").write_text(f"1 {model} {WIDTH} {HEIGHT} {FOCAL} {WIDTH / 2} {HEIGHT / 2}{extra}\n")
    lines = []
    for number, (centre, yaw) in enumerate(zip(np.asarray(centres, float), yaws, strict=True), start=1):
        pixels = colmap_pixels(points, centre, yaw, distortion)
        render_dots(pixels).save(folder / "images" / f"{number:02d}.png")
        t = -rotation(yaw) @ centre
        quaternion = f"{np.cos(yaw / 2)} 0 {-np.sin(yaw / 2)} 0"
        lines.append(f"{number} {quaternion} {t[0]} {t[1]} {t[2]} 1 {number:02d}.png")
        lines.append(" ".join(f"{u} {v} {i}" for i, (u, v) in enumerate(pixels, start=1)))
    sparse.joinpath("images.txt").write_text("\n".join(lines) + "\n")
    tracks = [" ".join(f"{number} {i}" for number in range(1, len(centres) + 1)) for i in range(len(points))]
    sparse.joinpath("points3D.txt").write_text(
        "".join(
            f"{i + 1} {x} {y} {z} 255 255 255 {error} {track}\n"
            for i, ((x, y, z), error, track) in enumerate(zip(points, errors, tracks, strict=True))
        )
    )
    return folder
