"""Compiled gradients of the renderer for processors: see `cpu_gradients`.

A row of pixels is worked on at a time, plane by plane, so that all but fetching and scattering are vector instructions.
With e_k = exp(-σ_k δ_k), T_k = Π_{j<k} (e_j + ε) and w_k = T_k (1 - e_k), the gradient of a sum Σ w_k g_k is

    ∂/∂σ_k = δ_k e_k (T_k g_k - Σ_{j>k} w_j g_j / (e_k + ε)).
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,misc"
# Kernels have no annotations: numba gives them the types of their callers, down from the signatures.

import numpy as np
from numba import float32

from mine.kernels.jit import compiled, inlined
from mine.kernels.numerics import exp_minus
from mine.render.reference import LAST_INTERVAL, TRANSMITTANCE_FLOOR

LAST = np.float32(LAST_INTERVAL)
FLOOR = np.float32(TRANSMITTANCE_FLOOR)
SMALLEST = np.float32(1e-5)
"""Added to the sum of weights that a depth is divided by."""


@compiled(
    "void(float32[:,:,:,:,::1], float32[:,::1], float64[:,:,::1], float32[:,:,:,::1], float32[:,:,:,:,::1], "
    "float32[:,:,:,:,::1], int64, int64)"
)
def blend_rows(planes, depths, unproject, image, by_blended, out, first, last):
    """Gradient of planes (B, S, 4, H, W) from that of `reference.blend_source` of them (by_blended), by rows of B H."""
    count, height, width = planes.shape[1], planes.shape[3], planes.shape[4]
    length, behind = np.empty(width, np.float32), np.empty(width, np.float32)
    passed, seen = np.empty((count, width), np.float32), np.ones((count + 1, width), np.float32)
    for row in range(first, last):
        b, y = row // height, row % height
        m = unproject[b]
        for x in range(width):
            ray_x, ray_y = m[0, 0] * x + m[0, 1] * y + m[0, 2], m[1, 1] * y + m[1, 2]
            length[x] = np.sqrt(ray_x * ray_x + ray_y * ray_y + 1)
            behind[x] = 0
        for k in range(count):
            sigma, step = planes[b, k, 3, y], depths[b, min(k + 1, count - 1)] - depths[b, k]
            for x in range(width):
                distance = LAST if k == count - 1 else length[x] * step
                passed[k, x] = exp_minus(sigma[x] * distance)
                seen[k + 1, x] = seen[k, x] * (passed[k, x] + FLOOR)
        for k in range(count - 1, -1, -1):
            step = depths[b, min(k + 1, count - 1)] - depths[b, k]
            density, change = out[b, k, 3, y], by_blended[b, k, 3, y]
            for x in range(width):
                distance = LAST if k == count - 1 else length[x] * step
                density[x] = change[x] - distance * passed[k, x] / (passed[k, x] + FLOOR) * behind[x]
            for c in range(3):
                colour, photo = planes[b, k, c, y], image[b, c, y]
                change, by_colour = by_blended[b, k, c, y], out[b, k, c, y]
                for x in range(width):
                    behind[x] += seen[k, x] * change[x] * (photo[x] - colour[x])
                    by_colour[x] = (1 - seen[k, x]) * change[x]


@inlined
def _place(place, base, k, depth, camera, plane_size):
    """Fills row k of places with where a row of target pixels sees plane k: see `render_images`."""
    epipole, m, third = camera
    grow, move_x, move_y = float32(1 + epipole[2] / depth), float32(epipole[0] / depth), float32(epipole[1] / depth)
    m00, m01, m02, m11, m12 = (
        float32(m[0, 0]),
        float32(m[0, 1]),
        float32(m[0, 2]),
        float32(m[1, 1]),
        float32(m[1, 2]),
    )
    t0, t1, t2, t3 = float32(third[0]), float32(third[1]), float32(third[2]), float32(third[3])
    bottom, right, z = float32(plane_size[0] - 1), float32(plane_size[1] - 1), float32(depth)
    for x in range(base.shape[1]):
        u = min(max(float32(0), grow * base[0, x] - move_x), right)
        v = min(max(float32(0), grow * base[1, x] - move_y), bottom)
        place[0, k, x], place[1, k, x] = u, v
        place[2, k, x], place[3, k, x] = (m00 * u + m01 * v + m02) * z, (m11 * v + m12) * z
        place[4, k, x] = (t0 * u + t1 * v + t2) * z + t3


@inlined
def _fetch(plane, u, v, width, out):
    """Bilinear samples of a plane (4, H W) at a row of pixels: out (4, W')."""
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
            out[c, x] = top + fy * (bottom - top)


@inlined
def _scatter(plane, u, v, width, gradient):
    """Adds the gradients (4, W') of `_fetch` to that of the plane (4, H W)."""
    height = plane.shape[1] // width
    for x in range(len(u)):
        i, j = int(u[x]), int(v[x])
        right, below = min(i + 1, width - 1) - i, (min(j + 1, height - 1) - j) * width
        fx, fy = u[x] - float32(i), v[x] - float32(j)
        start = j * width + i
        for c in range(4):
            bottom = gradient[c, x] * fy
            top = gradient[c, x] - bottom
            plane[c, start] += top * (1 - fx)
            plane[c, start + right] += top * fx
            plane[c, start + below] += bottom * (1 - fx)
            plane[c, start + below + right] += bottom * fx


@inlined
def _weigh(place, samples, z, weights):
    """Fills weights (4, S, W), δ, e, T and w, of a row of target pixels."""
    count, width = samples.shape[0], samples.shape[2]
    for k in range(count):
        for x in range(width):
            distance = LAST
            if k < count - 1:
                step_x, step_y = place[2, k + 1, x] - place[2, k, x], place[3, k + 1, x] - place[3, k, x]
                step_z = z[k + 1] - z[k]
                distance = np.sqrt(step_x * step_x + step_y * step_y + step_z * step_z)
            sigma = samples[k, 3, x] if place[4, k, x] > 0 else float32(0)
            passed = exp_minus(sigma * distance)
            before = float32(1) if k == 0 else weights[2, k - 1, x] * (weights[1, k - 1, x] + FLOOR)
            weights[0, k, x], weights[1, k, x], weights[2, k, x] = distance, passed, before
            weights[3, k, x] = before * (1 - passed)


@inlined
def _backward(place, samples, weights, by_view):
    """Puts in the place of samples (S, 4, W) their gradients, from those of colour and depth (4, W)."""
    count, width = samples.shape[0], samples.shape[2]
    total, depth, behind = np.zeros(width, np.float32), np.zeros(width, np.float32), np.zeros(width, np.float32)
    for k in range(count):
        for x in range(width):
            total[x] += weights[3, k, x]
            depth[x] += weights[3, k, x] * place[4, k, x]
    for x in range(width):
        total[x] = 1 / (total[x] + SMALLEST)
        depth[x] *= total[x]
    for k in range(count - 1, -1, -1):
        for x in range(width):
            passed, before, w = weights[1, k, x], weights[2, k, x], weights[3, k, x]
            g = by_view[3, x] * (place[4, k, x] - depth[x]) * total[x]
            g += by_view[0, x] * samples[k, 0, x] + by_view[1, x] * samples[k, 1, x] + by_view[2, x] * samples[k, 2, x]
            change = weights[0, k, x] * passed * (before * g - behind[x] / (passed + FLOOR))
            behind[x] += w * g
            for c in range(3):
                samples[k, c, x] = w * by_view[c, x]
            samples[k, 3, x] = change if place[4, k, x] > 0 else float32(0)


@compiled(
    "void(float32[:,:,:,::1], float32[:,::1], float64[:,:,::1], float64[:,::1], float64[:,:,::1], float64[:,::1], "
    "UniTuple(int64, 2), float32[:,:,:,::1], float32[:,:,:,::1], int64, int64)"
)
def render_images(planes, depths, homography, epipole, unproject, row, plane_size, by_view, out, first, last):
    """Gradient of planes (B, S, 4, H W), added to out, from that of colour and depth (B, 4, H', W') of their views.

    What `Cameras` says: target pixel p sees plane k at source pixel (1 + e_z / z_k) a / a_z - e / z_k, where a is the
    homography's image of p and e the epipole. Images `first` to `last` - 1, each by one thread.
    """
    count, height, width = planes.shape[1], by_view.shape[2], by_view.shape[3]
    base = np.empty((2, width), np.float32)
    place, weights = np.empty((5, count, width), np.float32), np.empty((4, count, width), np.float32)
    samples = np.empty((count, 4, width), np.float32)
    for b in range(first, last):
        h, z = homography[b], depths[b]
        camera = epipole[b], unproject[b], row[b]
        for y in range(height):
            for x in range(width):
                scale = 1 / (h[2, 0] * x + h[2, 1] * y + h[2, 2])
                base[0, x] = (h[0, 0] * x + h[0, 1] * y + h[0, 2]) * scale
                base[1, x] = (h[1, 0] * x + h[1, 1] * y + h[1, 2]) * scale
            for k in range(count):
                _place(place, base, k, z[k], camera, plane_size)
                _fetch(planes[b, k], place[0, k], place[1, k], plane_size[1], samples[k])
            _weigh(place, samples, z, weights)
            _backward(place, samples, weights, by_view[b, :, y])
            for k in range(count):
                _scatter(out[b, k], place[0, k], place[1, k], plane_size[1], samples[k])
