"""3D Gaussians of a scene's surfaces, in the files that viewers of 3D Gaussian splatting read.

Kerbl et al. 2023, "3D Gaussian Splatting for Real-Time Radiance Field Rendering". Every pixel of both surfaces becomes
one Gaussian: a flat ellipse that covers the pixel on the surface, in the pixel's colour. Nothing is trained.

`.ply` is the layout of the paper's code, without the spherical harmonics above degree 0 (properties `f_rest_*`), which
would be zero: position, unused normal, `f_dc` = (RGB - 0.5) / C0, logit of the opacity, log of the scales, quaternion
(w, x, y, z). Axes are OpenCV's (x right, y down, z forward), as in scenes trained from COLMAP. `.spz` is Niantic's
compressed form (https://github.com/nianticlabs/spz), whose axes are x right, y up, z backward.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mine.errors import InputError
from mine.files import replacing
from mine.output.ply import write_ply
from mine.output.surface_layers import SurfaceLayers, unproject
from mine.scene.inpaint import DISCONTINUITY

C0 = 0.28209479177387814
"""Spherical harmonic of degree 0."""

SIGMA = 0.8
"""Standard deviation of a Gaussian in pixels: smaller ones let the background through, larger ones blur the picture."""

THICKNESS = 0.1
"""Standard deviation across the surface, in that of a pixel."""

MAX_SLANT = 4.0
"""Most by which a Gaussian is stretched where the surface is seen at a grazing angle."""

SPZ_SIDE = (1 << 23) - 1
"""Largest whole number that .spz holds of a coordinate."""

SPZ_BITS = (1, 24)
"""Least and most of its binary digits that may stand behind the point, as readers have it."""

SPZ_SCALES = (math.exp(-10), math.exp(255 / 16 - 10))
"""Least and largest standard deviation that .spz holds, in scene units."""

OPACITY = 0.99
"""Opacity of a Gaussian on an opaque surface: the most that renderers use."""


@dataclass(frozen=True)
class Gaussians:
    """3D Gaussians in the source camera's axes.

    Attributes:
        centres: (N, 3) in scene units.
        scales: (N, 3) standard deviations along their own axes.
        quaternions: (N, 4) rotations of these axes (w, x, y, z), of length 1.
        rgb: (N, 3) in [0, 1].
        opacity: (N,) in [0, 1].
    """

    centres: Tensor
    scales: Tensor
    quaternions: Tensor
    rgb: Tensor
    opacity: Tensor


def make_gaussians(surfaces: SurfaceLayers) -> Gaussians:
    """Makes Gaussians of both surfaces, one for each of their pixels."""
    layers = surfaces.layers
    hidden = layers.background_disparity > 0
    background = torch.where(hidden, layers.background_disparity, layers.disparity)
    front = _of_surface(layers.disparity, layers.rgb, layers.opacity, surfaces.K, layers.opacity[0] > 0)
    back = _of_surface(background, layers.background_rgb, torch.ones_like(background), surfaces.K, hidden[0])
    parts = ("centres", "scales", "quaternions", "rgb", "opacity")
    return Gaussians(*(torch.cat([getattr(front, part), getattr(back, part)]) for part in parts))


def write_splats_ply(gaussians: Gaussians, path: str | Path) -> None:
    """Writes Gaussians in the layout of 3DGS.

    Raises:
        InputError: The file cannot be written.
    """
    names = ["x", "y", "z", "nx", "ny", "nz", *(f"f_dc_{i}" for i in range(3)), "opacity"]
    names += [*(f"scale_{i}" for i in range(3)), *(f"rot_{i}" for i in range(4))]
    columns = [
        gaussians.centres,
        torch.zeros_like(gaussians.centres),
        (gaussians.rgb - 0.5) / C0,
        torch.logit(gaussians.opacity)[:, None],
        gaussians.scales.log(),
        gaussians.quaternions,
    ]
    table = torch.cat(columns, dim=1).float().numpy().astype("<f4")
    write_ply(path, table.view([(name, "<f4") for name in names])[:, 0])


def write_spz(gaussians: Gaussians, path: str | Path) -> None:
    """Writes Gaussians in Niantic's compressed form, version 3, in the scene's units.

    Raises:
        InputError: The file cannot be written, or does not hold Gaussians so far away, so large or so small.
        ModuleNotFoundError: gsply is not installed (`mine[formats]`).
    """
    from gsply import GSData
    from gsply.spz import write_spz as write

    bits = _fractional_bits(gaussians)
    y_up = torch.tensor([1.0, -1, -1])
    w, x, y, z = gaussians.quaternions.unbind(1)
    # Half a turn about x, before the rotation: (0, 1, 0, 0) times the quaternion.
    turned = torch.stack([-x, w, -z, y], dim=1)
    data = GSData(
        means=(gaussians.centres * y_up).float().numpy(),
        scales=gaussians.scales.log().float().numpy(),
        quats=turned.float().numpy(),
        opacities=torch.logit(gaussians.opacity).float().numpy(),
        sh0=((gaussians.rgb - 0.5) / C0).float().numpy(),
        shN=np.zeros((len(gaussians.centres), 0, 3), np.float32),
    )
    with replacing(path) as temporary:
        write(temporary, data, fractional_bits=bits)


def _fractional_bits(gaussians: Gaussians) -> int:
    """Binary digits of .spz's coordinates behind the point: as many as the farthest coordinate leaves."""
    farthest, sizes = float(gaussians.centres.abs().max()), gaussians.scales[:, :2]
    bits = min(SPZ_BITS[1], math.floor(math.log2(SPZ_SIDE / farthest)))
    if bits < SPZ_BITS[0] or sizes.max() > SPZ_SCALES[1] or sizes.median() < SPZ_SCALES[0]:
        raise InputError(
            f"the scene has splats of {float(sizes.median()):.3g} to {float(sizes.max()):.3g} scene units, up to "
            f"{farthest:.3g} away, and .spz holds {SPZ_SCALES[0]:.2g} to {SPZ_SCALES[1]:.3g}, up to "
            f"{SPZ_SIDE / 2 ** SPZ_BITS[0]:.2g} away: write .ply, or make the scene in another unit of length"
        )
    return bits


def _of_surface(disparity: Tensor, rgb: Tensor, opacity: Tensor, K: Tensor, mask: Tensor) -> Gaussians:
    """The Gaussians of the pixels of `mask` (H, W) of a surface of disparity (1, H, W)."""
    height, width = mask.shape
    y, x = torch.meshgrid(torch.arange(height).float(), torch.arange(width).float(), indexing="ij")
    points = unproject(disparity[0], K, x, y)[mask]
    slope_x, slope_y = (slope[mask] for slope in _slopes(disparity[0]))
    rays = points * disparity[0][mask][:, None]
    inverse = 1 / disparity[0][mask]
    # P = r / D, so that dP/du = (dr/du - P dD/du) / D, and r is K⁻¹ (u, v, 1).
    step_x, step_y = (step * inverse[:, None] for step in torch.linalg.inv(K).T[:2])
    across = step_x - rays * (slope_x * inverse.square())[:, None]
    down = step_y - rays * (slope_y * inverse.square())[:, None]
    axes, lengths = _ellipse(across, down)
    pixel = inverse / K[0, 0]
    lengths = torch.minimum(lengths, MAX_SLANT * pixel[:, None])
    scales = SIGMA * torch.cat([lengths, THICKNESS * pixel[:, None]], dim=1)
    return Gaussians(points, scales, _quaternions(axes), rgb.movedim(0, -1)[mask], OPACITY * opacity[0][mask])


def _slopes(disparity: Tensor) -> tuple[Tensor, Tensor]:
    """Changes of disparity (H, W) per pixel to the right and down: the smaller of both sides', 0 at silhouettes."""
    slopes = []
    for axis in (1, 0):
        step = disparity.diff(dim=axis)
        first, last = step.narrow(axis, 0, 1), step.narrow(axis, step.shape[axis] - 1, 1)
        before, after = torch.cat([first, step], axis), torch.cat([step, last], axis)
        smaller = torch.where(before.abs() < after.abs(), before, after)
        slopes.append(smaller * (smaller.abs() < (DISCONTINUITY - 1) * disparity))
    return slopes[0], slopes[1]


def _ellipse(across: Tensor, down: Tensor) -> tuple[Tensor, Tensor]:
    """Axes and lengths of the ellipse that a unit circle becomes under (x, y) -> x `across` + y `down`, (N, 3) each.

    Returns:
        Rotations (N, 3, 3), whose columns are the ellipse's axes and its normal, and the axes' lengths (N, 2).
    """
    # In the scale of each: `normalize` leaves vectors as they are that are very short.
    scale = across.norm(dim=1, keepdim=True)
    across, down = across / scale, down / scale
    first = F.normalize(across, dim=1)
    normal = F.normalize(torch.linalg.cross(across, down), dim=1)
    second = torch.linalg.cross(normal, first)
    # In the basis (first, second): columns (a, 0) and (b, c); eigenvectors of M Mᵀ in closed form.
    a, b, c = across.norm(dim=1), (down * first).sum(1), (down * second).sum(1)
    xx, xy, yy = a.square() + b.square(), b * c, c.square()
    angle = torch.atan2(2 * xy, xx - yy) / 2
    middle, radius = (xx + yy) / 2, (((xx - yy) / 2).square() + xy.square()).sqrt()
    lengths = scale * torch.stack([middle + radius, (middle - radius).clamp(min=1e-20)], dim=1).sqrt()
    cos, sin = angle.cos()[:, None], angle.sin()[:, None]
    axes = torch.stack([cos * first + sin * second, cos * second - sin * first, normal], dim=-1)
    return axes, lengths


def _quaternions(rotation: Tensor) -> Tensor:
    """Unit quaternions (N, 4), w x y z, of rotations (N, 3, 3)."""
    from scipy.spatial.transform import Rotation

    return torch.from_numpy(Rotation.from_matrix(rotation.double().numpy()).as_quat()).float()[:, [3, 0, 1, 2]]
