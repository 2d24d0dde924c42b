"""Compiled gradients of the CPU renderer with respect to the planes; see `gradients`.

Planes here are channel by channel, (B, S, 4, H, W), as networks under training give them. A row of pixels goes through
all planes at a time: everything but gathering and scattering texels becomes SIMD instructions. With e_k = exp(-σ_k
δ_k), T_k = Π_{j<k} (e_j + ε), w_k = T_k (1 - e_k) and g_k the gradient of the loss with respect to w_k, differentiating
Li et al. 2021, eq. 3 and 4, gives

    ∂L/∂σ_k = δ_k e_k (T_k g_k - Σ_{j>k} w_j g_j / (e_k + ε)).

Nothing of the forward pass is kept: e, T and w are computed again. tests/render/cpu/test_gradients.py compares the
results with autograd through `reference` in double precision, to 1e-3 (relative; 1e-4 of the largest).
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,misc"
# Kernels have no annotations: numba infers the types from the signatures.

import numpy as np
from numba import float32, int64, types

from mine.kernels.jit import compiled, inlined
from mine.kernels.numerics import exp_minus
from mine.render.cpu.layout import CAMERAS_TYPE, SIZE_TYPE
from mine.render.reference import LAST_INTERVAL, TRANSMITTANCE_FLOOR

LAST = np.float32(LAST_INTERVAL)
FLOOR = np.float32(TRANSMITTANCE_FLOOR)
WEIGHT_FLOOR = np.float32(1e-5)
"""Added to Σ w, which depth is divided by."""

# Rows of points: source pixel u, v; source coordinates x, y of the point there; its target depth.
U, V, X, Y, DEPTH = range(5)

# Rows of a ray's factors: δ, e, T and w of each plane.
INTERVAL, TRANSMITTED, TRANSMITTANCE, WEIGHT = range(4)


@compiled(
    "void(float32[:,:,:,:,::1], float32[:,::1], float64[:,:,::1], float32[:,:,:,::1], float32[:,:,:,:,::1], "
    "float32[:,:,:,:,::1], int64, int64)"
)
def blend_source_backward_rows(planes, depths, unproject, image, grad_blended, grad_planes, first, last):
    """The gradient of `reference.blend_source`, by rows of pixels counted through all scenes.

    Args:
        planes: (B, S, 4, H, W).
        depths: (B, S).
        unproject: (B, 3, 3), K_s^-1.
        image: (B, 3, H, W).
        grad_blended: (B, S, 4, H, W), of the loss with respect to the blended planes.
        grad_planes: (B, S, 4, H, W), filled.
    """
    count, height, width = planes.shape[1], planes.shape[3], planes.shape[4]
    ray_length, behind = np.empty(width, np.float32), np.empty(width, np.float32)
    transmitted, transmittance = np.empty((count, width), np.float32), np.ones((count + 1, width), np.float32)
    for row in range(first, last):
        b, y = row // height, row % height
        m = unproject[b]
        for x in range(width):
            ray_x, ray_y = m[0, 0] * x + m[0, 1] * y + m[0, 2], m[1, 1] * y + m[1, 2]
            ray_length[x] = np.sqrt(ray_x * ray_x + ray_y * ray_y + 1)
            behind[x] = 0
        for k in range(count):
            sigma, step = planes[b, k, 3, y], depths[b, min(k + 1, count - 1)] - depths[b, k]
            for x in range(width):
                interval = LAST if k == count - 1 else ray_length[x] * step
                transmitted[k, x] = exp_minus(sigma[x] * interval)
                transmittance[k + 1, x] = transmittance[k, x] * (transmitted[k, x] + FLOOR)
        for k in range(count - 1, -1, -1):
            step = depths[b, min(k + 1, count - 1)] - depths[b, k]
            grad_sigma, grad = grad_planes[b, k, 3, y], grad_blended[b, k, 3, y]
            for x in range(width):
                interval = LAST if k == count - 1 else ray_length[x] * step
                grad_sigma[x] = grad[x] - interval * transmitted[k, x] / (transmitted[k, x] + FLOOR) * behind[x]
            for c in range(3):
                colour, photo = planes[b, k, c, y], image[b, c, y]
                grad, grad_colour = grad_blended[b, k, c, y], grad_planes[b, k, c, y]
                for x in range(width):
                    behind[x] += transmittance[k, x] * grad[x] * (photo[x] - colour[x])
                    grad_colour[x] = (1 - transmittance[k, x]) * grad[x]


@inlined
def _fill_points(points, at_infinity, k, z, camera, plane_size):
    """Fills points[:, k] with where a row of target pixels sees plane k, at depth z: see `render_backward_images`."""
    epipole, m, row = camera
    zoom, shift_x, shift_y = float32(1 + epipole[2] / z), float32(epipole[0] / z), float32(epipole[1] / z)
    m00, m01, m02 = float32(m[0, 0]), float32(m[0, 1]), float32(m[0, 2])
    m11, m12 = float32(m[1, 1]), float32(m[1, 2])
    t0, t1, t2, t3 = float32(row[0]), float32(row[1]), float32(row[2]), float32(row[3])
    bottom, right, z = float32(plane_size[0] - 1), float32(plane_size[1] - 1), float32(z)
    for x in range(at_infinity.shape[1]):
        u = min(max(float32(0), zoom * at_infinity[0, x] - shift_x), right)
        v = min(max(float32(0), zoom * at_infinity[1, x] - shift_y), bottom)
        points[U, k, x], points[V, k, x] = u, v
        points[X, k, x], points[Y, k, x] = (m00 * u + m01 * v + m02) * z, (m11 * v + m12) * z
        points[DEPTH, k, x] = (t0 * u + t1 * v + t2) * z + t3


@inlined
def _gather(plane, u, v, width, samples):
    """Bilinear samples (4, W') of a plane (4, H W) at a row of source pixels u, v (W',)."""
    height = plane.shape[1] // width
    for x in range(len(u)):
        i, j = int(u[x]), int(v[x])
        right, below = min(i + 1, width - 1) - i, (min(j + 1, height - 1) - j) * width
        fx, fy = u[x] - float32(i), v[x] - float32(j)
        start = j * width + i
        for c in range(4):
            top = plane[c, start] + fx * (plane[c, start + right] - plane[c, start])
            bottom = plane[c, start + below]
            bottom = bottom + fx * (plane[c, start + below + right] - bottom)
            samples[c, x] = top + fy * (bottom - top)


@inlined
def _scatter(grad_plane, u, v, width, grad_samples):
    """The transpose of `_gather`: adds gradients (4, W') of samples to that of the plane (4, H W)."""
    height = grad_plane.shape[1] // width
    for x in range(len(u)):
        i, j = int(u[x]), int(v[x])
        right, below = min(i + 1, width - 1) - i, (min(j + 1, height - 1) - j) * width
        fx, fy = u[x] - float32(i), v[x] - float32(j)
        start = j * width + i
        for c in range(4):
            bottom = grad_samples[c, x] * fy
            top = grad_samples[c, x] - bottom
            grad_plane[c, start] += top * (1 - fx)
            grad_plane[c, start + right] += top * fx
            grad_plane[c, start + below] += bottom * (1 - fx)
            grad_plane[c, start + below + right] += bottom * fx


@inlined
def _fill_factors(points, samples, z, factors):
    """Fills factors (4, S, W') of a row of pixels from points (5, S, W'), samples (S, 4, W') and depths z (S,)."""
    count, width = samples.shape[0], samples.shape[2]
    for k in range(count):
        for x in range(width):
            interval = LAST
            if k < count - 1:
                step_x, step_y = points[X, k + 1, x] - points[X, k, x], points[Y, k + 1, x] - points[Y, k, x]
                step_z = z[k + 1] - z[k]
                interval = np.sqrt(step_x * step_x + step_y * step_y + step_z * step_z)
            sigma = samples[k, 3, x] if points[DEPTH, k, x] > 0 else float32(0)
            transmitted = exp_minus(sigma * interval)
            transmittance = float32(1)
            if k > 0:
                transmittance = factors[TRANSMITTANCE, k - 1, x] * (factors[TRANSMITTED, k - 1, x] + FLOOR)
            factors[INTERVAL, k, x], factors[TRANSMITTED, k, x] = interval, transmitted
            factors[TRANSMITTANCE, k, x] = transmittance
            factors[WEIGHT, k, x] = transmittance * (1 - transmitted)


@inlined
def _composite_backward(points, samples, factors, grad_view):
    """Replaces samples (S, 4, W') by their gradients, from those of colour and depth, grad_view (4, W')."""
    count, width = samples.shape[0], samples.shape[2]
    total, depth, behind = np.zeros(width, np.float32), np.zeros(width, np.float32), np.zeros(width, np.float32)
    for k in range(count):
        for x in range(width):
            total[x] += factors[WEIGHT, k, x]
            depth[x] += factors[WEIGHT, k, x] * points[DEPTH, k, x]
    for x in range(width):
        total[x] = 1 / (total[x] + WEIGHT_FLOOR)
        depth[x] *= total[x]
    for k in range(count - 1, -1, -1):
        for x in range(width):
            transmitted, transmittance, w = (
                factors[TRANSMITTED, k, x],
                factors[TRANSMITTANCE, k, x],
                factors[WEIGHT, k, x],
            )
            g = grad_view[3, x] * (points[DEPTH, k, x] - depth[x]) * total[x]
            g += (
                grad_view[0, x] * samples[k, 0, x]
                + grad_view[1, x] * samples[k, 1, x]
                + grad_view[2, x] * samples[k, 2, x]
            )
            grad_sigma = factors[INTERVAL, k, x] * transmitted * (transmittance * g - behind[x] / (transmitted + FLOOR))
            behind[x] += w * g
            for c in range(3):
                samples[k, c, x] = w * grad_view[c, x]
            samples[k, 3, x] = grad_sigma if points[DEPTH, k, x] > 0 else float32(0)


@compiled(
    types.void(
        float32[:, :, :, ::1],
        float32[:, ::1],
        CAMERAS_TYPE,
        SIZE_TYPE,
        float32[:, :, :, ::1],
        float32[:, :, :, ::1],
        int64,
        int64,
    )
)
def render_backward_images(planes, depths, cameras, plane_size, grad_view, grad_planes, first, last):
    """The gradient of `reference.render` for views `first` to `last` - 1, each by one thread.

    Target pixel p sees the plane at depth z_k at the source pixel (1 + e_z / z_k) a / a_z - e / z_k, clamped to the
    frame, where a is the image of p under the infinite homography and e the epipole (see `mine.render.cameras`).

    Args:
        planes: (B, S, 4, H W).
        depths: (B, S).
        cameras: the fields of `layout.CameraArrays`.
        plane_size: (H, W).
        grad_view: (B, 4, H', W'), of the loss with respect to colour and depth.
        grad_planes: (B, S, 4, H W), which the gradient is added to.
    """
    count, height, width = planes.shape[1], grad_view.shape[2], grad_view.shape[3]
    homographies, epipoles, unprojects, depth_rows = cameras
    at_infinity = np.empty((2, width), np.float32)
    points, factors = np.empty((5, count, width), np.float32), np.empty((4, count, width), np.float32)
    samples = np.empty((count, 4, width), np.float32)
    for b in range(first, last):
        h, z = homographies[b], depths[b]
        camera = epipoles[b], unprojects[b], depth_rows[b]
        for y in range(height):
            for x in range(width):
                scale = 1 / (h[2, 0] * x + h[2, 1] * y + h[2, 2])
                at_infinity[0, x] = (h[0, 0] * x + h[0, 1] * y + h[0, 2]) * scale
                at_infinity[1, x] = (h[1, 0] * x + h[1, 1] * y + h[1, 2]) * scale
            for k in range(count):
                _fill_points(points, at_infinity, k, z[k], camera, plane_size)
                _gather(planes[b, k], points[U, k], points[V, k], plane_size[1], samples[k])
            _fill_factors(points, samples, z, factors)
            _composite_backward(points, samples, factors, grad_view[b, :, y])
            for k in range(count):
                _scatter(grad_planes[b, k], points[U, k], points[V, k], plane_size[1], samples[k])
