"""Where a block of target pixels sees the planes, in closed form: device functions of `kernels.py`.

The source pixel through which a target pixel p sees a plane is linear in the plane's disparity d. With the infinite
homography A = K_s Rᵀ K_t^-1 and the epipole b = K_s Rᵀ t, let a = (A p) / (A p)_z and e = b_z a - b: the source pixel
is a + d e. This is the homography of Li et al. 2021, eq. 6, at the cost of one division per pixel and two
multiplications per pixel and plane. While source pixels stay within the frame, so that none is clamped to it, the
target depth of a plane at source depth z is linear in z, and the distance between two planes along the ray is their
distance in depth times |K_s^-1 a|.

Cameras are a tuple of homography A (3, 3), epipole b (3,), unproject K_s^-1 (3, 3), upper triangular, and depth_row
(4,), which takes z (u, v, 1) and 1 to target depth. Sizes are (H, W). `layout` has the rows of the arrays.
"""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
# Kernels have no annotations: numba infers the types from their callers.

import numpy as np
from numba import float32, int32

from mine.kernels.jit import inlined
from mine.render.cpu.layout import (
    BLOCK,
    BLOCK_HEIGHT,
    BLOCK_WIDTH,
    COVERAGE,
    DEPTH,
    DEPTH_OFFSET,
    DEPTH_SLOPE,
    EPIPOLAR_U,
    EPIPOLAR_V,
    INFINITY_U,
    INFINITY_V,
    INTERVAL,
    RAY_LENGTH,
    TEXEL,
    WEIGHT_U,
    WEIGHT_V,
    texel_index,
)
from mine.render.reference import LAST_INTERVAL

FAR = 1e12
"""Bound on source coordinates of rays almost parallel to the planes: it keeps them finite, so that clamping works."""

INSET = float32(1 + 1 / 16)
"""Distance from the last row and column at which a sample is inside the frame whatever the rounding."""


@inlined
def fill_lines(camera, x0, y0, state):
    """Fills the rows of state (STATE_ROWS, BLOCK) that do not depend on the plane, for the block at (x0, y0)."""
    homography, epipole, unproject, depth_row = camera
    for j in range(BLOCK_HEIGHT):
        y = y0 + j
        for i in range(BLOCK_WIDTH):
            x = x0 + i
            w = homography[2, 0] * x + homography[2, 1] * y + homography[2, 2]
            w = w if abs(w) > 1 / FAR else 1 / FAR
            u = (homography[0, 0] * x + homography[0, 1] * y + homography[0, 2]) / w
            v = (homography[1, 0] * x + homography[1, 1] * y + homography[1, 2]) / w
            u = min(max(-FAR, u), FAR)
            v = min(max(-FAR, v), FAR)
            state[INFINITY_U, j * BLOCK_WIDTH + i] = u
            state[INFINITY_V, j * BLOCK_WIDTH + i] = v
            state[EPIPOLAR_U, j * BLOCK_WIDTH + i] = epipole[2] * u - epipole[0]
            state[EPIPOLAR_V, j * BLOCK_WIDTH + i] = epipole[2] * v - epipole[1]
    k00, k01, k02 = float32(unproject[0, 0]), float32(unproject[0, 1]), float32(unproject[0, 2])
    k11, k12 = float32(unproject[1, 1]), float32(unproject[1, 2])
    m0, m1, m2, m3 = float32(depth_row[0]), float32(depth_row[1]), float32(depth_row[2]), float32(depth_row[3])
    for i in range(BLOCK):
        dx = k00 * state[INFINITY_U, i] + k01 * state[INFINITY_V, i] + k02
        dy = k11 * state[INFINITY_V, i] + k12
        state[RAY_LENGTH, i] = np.sqrt(dx * dx + dy * dy + float32(1))
        state[DEPTH_SLOPE, i] = m0 * state[INFINITY_U, i] + m1 * state[INFINITY_V, i] + m2
        state[DEPTH_OFFSET, i] = m0 * state[EPIPOLAR_U, i] + m1 * state[EPIPOLAR_V, i] + m3


@inlined
def sees_quadrilateral(homography, x, y, state):
    """Whether the block at (x, y) sees a quadrilateral of each plane: no pixel at, or beyond, the source's horizon."""
    total = float32(0)
    for line in range(4):
        for i in (0, BLOCK_WIDTH - 1, BLOCK - BLOCK_WIDTH, BLOCK - 1):
            total += abs(state[line, i])
    start = homography[2, 0] * x + homography[2, 1] * y + homography[2, 2]
    across, down = start + homography[2, 0] * (BLOCK_WIDTH - 1), homography[2, 1] * (BLOCK_HEIGHT - 1)
    return (total < FAR) & (start * across > 0) & (start * (start + down) > 0) & (start * (across + down) > 0)


@inlined
def fill_bounding_boxes(state, disparity, box):
    """Fills box (4, S) with the bounds u0, u1, v0, v1 of the quadrilateral that a block sees of each plane."""
    a, b, c, e = 0, BLOCK_WIDTH - 1, BLOCK - BLOCK_WIDTH, BLOCK - 1
    for k in range(len(disparity)):
        d = disparity[k]
        u0, u1 = state[INFINITY_U, a] + d * state[EPIPOLAR_U, a], state[INFINITY_U, b] + d * state[EPIPOLAR_U, b]
        u2, u3 = state[INFINITY_U, c] + d * state[EPIPOLAR_U, c], state[INFINITY_U, e] + d * state[EPIPOLAR_U, e]
        v0, v1 = state[INFINITY_V, a] + d * state[EPIPOLAR_V, a], state[INFINITY_V, b] + d * state[EPIPOLAR_V, b]
        v2, v3 = state[INFINITY_V, c] + d * state[EPIPOLAR_V, c], state[INFINITY_V, e] + d * state[EPIPOLAR_V, e]
        box[0, k], box[1, k] = min(min(u0, u1), min(u2, u3)), max(max(u0, u1), max(u2, u3))
        box[2, k], box[3, k] = min(min(v0, v1), min(v2, v3)), max(max(v0, v1), max(v2, v3))


@inlined
def is_inside_frame(boxes, b, k, size):
    """Whether block b sees plane k within its frame, so that no source pixel is clamped."""
    right, bottom = float32(size[1]) - INSET, float32(size[0]) - INSET
    return (boxes[b, 0, k] >= 0) & (boxes[b, 1, k] < right) & (boxes[b, 2, k] >= 0) & (boxes[b, 3, k] < bottom)


@inlined
def texel_range(boxes, b, k, size):
    """First and last column, first and last row of the top-left texels of block b's samples of plane k."""
    last_row, last_column = float32(size[0] - 1), float32(size[1] - 1)
    left = int32(min(max(float32(0), boxes[b, 0, k]), last_column))
    right = int32(min(max(float32(0), boxes[b, 1, k]), last_column))
    top = int32(min(max(float32(0), boxes[b, 2, k]), last_row))
    bottom = int32(min(max(float32(0), boxes[b, 3, k]), last_row))
    return left, right, top, bottom


@inlined
def max_ray_length(state, unproject, size):
    """Bound on the distance between a block's samples of two planes per unit of depth, clamped to the frame or not."""
    u0, u1, v0, v1 = float32(0), float32(size[1] - 1), float32(0), float32(size[0] - 1)
    for i in (0, BLOCK_WIDTH - 1, BLOCK - BLOCK_WIDTH, BLOCK - 1):
        u0, u1 = min(u0, state[INFINITY_U, i]), max(u1, state[INFINITY_U, i])
        v0, v1 = min(v0, state[INFINITY_V, i]), max(v1, state[INFINITY_V, i])
    longest = 0.0
    for u in (u0, u1):
        for v in (v0, v1):
            dx = unproject[0, 0] * u + unproject[0, 1] * v + unproject[0, 2]
            dy = unproject[1, 1] * v + unproject[1, 2]
            longest = max(longest, dx * dx + dy * dy + 1)
    return float32(np.sqrt(longest))


@inlined
def count_covering_planes(state, disparity, size):
    """Fills COVERAGE with the number of planes whose source pixel lies strictly within (-1, W) x (-1, H)."""
    bottom, right = float32(size[0]), float32(size[1])
    state[COVERAGE] = 0
    for d in disparity:
        for i in range(BLOCK):
            u = state[INFINITY_U, i] + d * state[EPIPOLAR_U, i]
            v = state[INFINITY_V, i] + d * state[EPIPOLAR_V, i]
            inside = (u > float32(-1)) & (u < right) & (v > float32(-1)) & (v < bottom)
            state[COVERAGE, i] += float32(1) if inside else float32(0)


@inlined
def intersect_clamped(states, b, d, d_next, camera, size, strips, offsets, samples):
    """Intersects block b with the plane of disparity d: fills offsets, bilinear weights, DEPTH and INTERVAL.

    Source pixels are clamped to the frame, as in `reference.sample`. A plane behind the target camera gets interval 0,
    which has the effect of no density.

    Args:
        states: (blocks, STATE_ROWS, BLOCK).
        d, d_next: disparities of the plane and of the next one, equal for the last plane.
        camera: of the view.
        size, strips: of the plane, see `layout.texel_index`.
        offsets: (BLOCK,), filled with byte offsets of the top-left texels.
        samples: (SAMPLE_ROWS, BLOCK).
    """
    _, _, unproject, depth_row = camera
    z, z_next = float32(1) / d, float32(1) / d_next
    dz = z_next - z
    bottom, right = float32(size[0] - 1), float32(size[1] - 1)
    last_row, last_column = int32(max(size[0] - 2, 0)), int32(max(size[1] - 2, 0))
    k00, k01, k02 = float32(unproject[0, 0]), float32(unproject[0, 1]), float32(unproject[0, 2]) * dz
    k11, k12 = float32(unproject[1, 1]), float32(unproject[1, 2]) * dz
    m0, m1, m2 = z * float32(depth_row[0]), z * float32(depth_row[1]), z * float32(depth_row[2]) + float32(depth_row[3])
    for i in range(BLOCK):
        a_u, a_v = states[b, INFINITY_U, i], states[b, INFINITY_V, i]
        e_u, e_v = states[b, EPIPOLAR_U, i], states[b, EPIPOLAR_V, i]
        u = min(max(float32(0), a_u + d * e_u), right)
        v = min(max(float32(0), a_v + d * e_v), bottom)
        du = z_next * min(max(float32(0), a_u + d_next * e_u), right) - z * u
        dv = z_next * min(max(float32(0), a_v + d_next * e_v), bottom) - z * v
        texel_u, texel_v = min(int32(u), last_column), min(int32(v), last_row)
        offsets[i] = TEXEL * texel_index(texel_v, texel_u, size[0], strips)
        samples[WEIGHT_U, i] = u - float32(texel_u)
        samples[WEIGHT_V, i] = v - float32(texel_v)
        dx = k00 * du + k01 * dv + k02
        dy = k11 * dv + k12
        depth = m0 * u + m1 * v + m2
        length = np.sqrt(dx * dx + dy * dy + dz * dz) if d_next < d else float32(LAST_INTERVAL)
        samples[DEPTH, i] = depth
        samples[INTERVAL, i] = length if depth > 0 else float32(0)


@inlined
def intersect_inside(states, b, d, d_next, size, strips, offsets, samples):
    """`intersect_clamped` for a block that sees this plane and the next within the frame, where nothing is clamped."""
    z = float32(1) / d
    dz = float32(1) / d_next - z
    for i in range(BLOCK):
        u = states[b, INFINITY_U, i] + d * states[b, EPIPOLAR_U, i]
        v = states[b, INFINITY_V, i] + d * states[b, EPIPOLAR_V, i]
        texel_u, texel_v = int32(u), int32(v)
        offsets[i] = TEXEL * texel_index(texel_v, texel_u, size[0], strips)
        samples[WEIGHT_U, i] = u - float32(texel_u)
        samples[WEIGHT_V, i] = v - float32(texel_v)
        depth = z * states[b, DEPTH_SLOPE, i] + states[b, DEPTH_OFFSET, i]
        length = dz * states[b, RAY_LENGTH, i] if d_next < d else float32(LAST_INTERVAL)
        samples[DEPTH, i] = depth
        samples[INTERVAL, i] = length if depth > 0 else float32(0)


@inlined
def locate_detail(states, b, d, size, detail_size, offsets, samples):
    """Fills offsets and bilinear weights with where block b sees the detail on the plane of disparity d.

    The detail (Hp, Wp) and the plane (H, W) span the same frame, edge to edge.
    """
    scale_v, scale_u = float32(detail_size[0] / size[0]), float32(detail_size[1] / size[1])
    bottom, right, columns = float32(detail_size[0] - 1), float32(detail_size[1] - 1), int32(detail_size[1])
    last_row, last_column = int32(max(detail_size[0] - 2, 0)), int32(max(detail_size[1] - 2, 0))
    for i in range(BLOCK):
        u = (states[b, INFINITY_U, i] + d * states[b, EPIPOLAR_U, i] + float32(0.5)) * scale_u - float32(0.5)
        v = (states[b, INFINITY_V, i] + d * states[b, EPIPOLAR_V, i] + float32(0.5)) * scale_v - float32(0.5)
        u = min(max(float32(0), u), right)
        v = min(max(float32(0), v), bottom)
        texel_u, texel_v = min(int32(u), last_column), min(int32(v), last_row)
        offsets[i] = TEXEL * (texel_v * columns + texel_u)
        samples[WEIGHT_U, i] = u - float32(texel_u)
        samples[WEIGHT_V, i] = v - float32(texel_v)
