"""Blocks of pixels of a view, and where they see the planes: what `cpu_kernels` walks over.

The source pixel through which a target pixel p sees a plane is linear in the plane's disparity d. With the infinite
homography A = K_s Rᵀ K_t^-1 and the epipole b = K_s Rᵀ t, a = (A p) / (A p)_z and e = b_z a - b, it is a + d e: one
division per pixel, then two multiplications per plane. Within the frame, where nothing is clamped, the depth of a plane
at depth z is linear in z, and the distance to the next plane is their distance in depth times |K_s^-1 a|.
"""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
# Kernels have no annotations: numba gives them the types of their callers.

import numpy as np
from numba import float32, int32

from mine.kernels.jit import inlined
from mine.render.reference import LAST_INTERVAL

ACROSS, DOWN = 16, 8
"""Sides of a block, the pixels of a view that take each step together: in few of them, surfaces meet few planes."""

BLOCK = ACROSS * DOWN

TILE = 8
"""Side, in pixels of a plane, of the squares whose largest density is known."""

FAR = 1e12
"""Bound on source coordinates of rays almost parallel to the planes: it keeps them finite, so that clamping works."""

# Rows of a block's state: the line a, e; |K_s^-1 a|; depth as a function of z.
A_U, A_V, E_U, E_V, LENGTH, DEPTH_BY_Z, DEPTH_AT_0 = range(7)
# Transmittance; sums of weights and of weights times depth; planes that cover it; from COLOUR on four rows hold the
# sums of weights times texels, four numbers a pixel.
THROUGH, WEIGHTS, DEPTHS, COVERED, COLOUR = range(7, 12)
STATE = COLOUR + 4

# Rows of what is known of a block in one plane; from TEXELS on four rows hold samples of four numbers a pixel.
FRACTION_U, FRACTION_V, STEP, DEPTH, WEIGHT, SAMPLE, TEXELS = range(7)
SAMPLES = TEXELS + 4

TEXEL = 16
"""Bytes of a pixel of planes and of the detail: red, green, blue, density, side by side."""

INSET = float32(1 + 1 / 16)
"""How far from the last row and column samples are surely inside, whatever the rounding."""


@inlined
def find_lines(homography, epipole, unproject, row, x0, y0, state):
    """Fills the rows of a block's state that do not depend on the plane."""
    for j in range(DOWN):
        y = y0 + j
        for i in range(ACROSS):
            x = x0 + i
            w = homography[2, 0] * x + homography[2, 1] * y + homography[2, 2]
            w = w if abs(w) > 1 / FAR else 1 / FAR
            u = (homography[0, 0] * x + homography[0, 1] * y + homography[0, 2]) / w
            v = (homography[1, 0] * x + homography[1, 1] * y + homography[1, 2]) / w
            u = min(max(-FAR, u), FAR)
            v = min(max(-FAR, v), FAR)
            state[A_U, j * ACROSS + i] = u
            state[A_V, j * ACROSS + i] = v
            state[E_U, j * ACROSS + i] = epipole[2] * u - epipole[0]
            state[E_V, j * ACROSS + i] = epipole[2] * v - epipole[1]
    k00, k01, k02 = float32(unproject[0, 0]), float32(unproject[0, 1]), float32(unproject[0, 2])
    k11, k12 = float32(unproject[1, 1]), float32(unproject[1, 2])
    m0, m1, m2, m3 = float32(row[0]), float32(row[1]), float32(row[2]), float32(row[3])
    for i in range(BLOCK):
        dx = k00 * state[A_U, i] + k01 * state[A_V, i] + k02
        dy = k11 * state[A_V, i] + k12
        state[LENGTH, i] = np.sqrt(dx * dx + dy * dy + float32(1))
        state[DEPTH_BY_Z, i] = m0 * state[A_U, i] + m1 * state[A_V, i] + m2
        state[DEPTH_AT_0, i] = m0 * state[E_U, i] + m1 * state[E_V, i] + m3


@inlined
def is_quadrangle(homography, x, y, state):
    """Whether a whole block lies on one side of the source camera's horizon, so that it sees a plane's quadrangle."""
    total = float32(0)
    for line in range(4):
        for i in (0, ACROSS - 1, BLOCK - ACROSS, BLOCK - 1):
            total += abs(state[line, i])
    start = homography[2, 0] * x + homography[2, 1] * y + homography[2, 2]
    across, down = start + homography[2, 0] * (ACROSS - 1), homography[2, 1] * (DOWN - 1)
    return (total < FAR) & (start * across > 0) & (start * (start + down) > 0) & (start * (across + down) > 0)


@inlined
def find_boxes(state, disparity, box):
    """Fills box (4, S): the least and largest u, the least and largest v at which a quadrangle sees each plane."""
    a, b, c, e = 0, ACROSS - 1, BLOCK - ACROSS, BLOCK - 1
    for k in range(len(disparity)):
        d = disparity[k]
        u0, u1 = state[A_U, a] + d * state[E_U, a], state[A_U, b] + d * state[E_U, b]
        u2, u3 = state[A_U, c] + d * state[E_U, c], state[A_U, e] + d * state[E_U, e]
        v0, v1 = state[A_V, a] + d * state[E_V, a], state[A_V, b] + d * state[E_V, b]
        v2, v3 = state[A_V, c] + d * state[E_V, c], state[A_V, e] + d * state[E_V, e]
        box[0, k], box[1, k] = min(min(u0, u1), min(u2, u3)), max(max(u0, u1), max(u2, u3))
        box[2, k], box[3, k] = min(min(v0, v1), min(v2, v3)), max(max(v0, v1), max(v2, v3))


@inlined
def is_inside(boxes, b, k, size):
    """Whether a quadrangle sees a plane within its frame, so that nothing need be clamped."""
    right, bottom = float32(size[1]) - INSET, float32(size[0]) - INSET
    return (boxes[b, 0, k] >= 0) & (boxes[b, 1, k] < right) & (boxes[b, 2, k] >= 0) & (boxes[b, 3, k] < bottom)


@inlined
def pixels(boxes, b, k, size):
    """First and last column and row of the texels that samples in a box begin at."""
    last_row, last_column = float32(size[0] - 1), float32(size[1] - 1)
    left = int32(min(max(float32(0), boxes[b, 0, k]), last_column))
    right = int32(min(max(float32(0), boxes[b, 1, k]), last_column))
    top = int32(min(max(float32(0), boxes[b, 2, k]), last_row))
    bottom = int32(min(max(float32(0), boxes[b, 3, k]), last_row))
    return left, right, top, bottom


@inlined
def longest_length(state, unproject, size):
    """Bound on the distance between samples on two planes, per unit of depth: clamped samples are in the frame."""
    u0, u1, v0, v1 = float32(0), float32(size[1] - 1), float32(0), float32(size[0] - 1)
    for i in (0, ACROSS - 1, BLOCK - ACROSS, BLOCK - 1):
        u0, u1 = min(u0, state[A_U, i]), max(u1, state[A_U, i])
        v0, v1 = min(v0, state[A_V, i]), max(v1, state[A_V, i])
    longest = 0.0
    for u in (u0, u1):
        for v in (v0, v1):
            dx = unproject[0, 0] * u + unproject[0, 1] * v + unproject[0, 2]
            dy = unproject[1, 1] * v + unproject[1, 2]
            longest = max(longest, dx * dx + dy * dy + 1)
    return float32(np.sqrt(longest))


@inlined
def count_planes(state, disparity, size):
    """Planes whose sample lies strictly within (-1, W) x (-1, H)."""
    bottom, right = float32(size[0]), float32(size[1])
    state[COVERED] = 0
    for d in disparity:
        for i in range(BLOCK):
            u = state[A_U, i] + d * state[E_U, i]
            v = state[A_V, i] + d * state[E_V, i]
            inside = (u > float32(-1)) & (u < right) & (v > float32(-1)) & (v < bottom)
            state[COVERED, i] += float32(1) if inside else float32(0)


@inlined
def intersect(states, b, d, d_next, unproject, row, size, corner, sample):
    """Where a block meets one plane: top-left texel, bilinear fraction, depth, and distance to the next.

    corner: bytes from the plane's first texel. A plane behind the target camera has step 0, as good as no density.
    """
    z, z_next = float32(1) / d, float32(1) / d_next
    dz = z_next - z
    bottom, right, columns = float32(size[0] - 1), float32(size[1] - 1), int32(size[1])
    last_row, last_column = int32(max(size[0] - 2, 0)), int32(max(size[1] - 2, 0))
    k00, k01, k02 = float32(unproject[0, 0]), float32(unproject[0, 1]), float32(unproject[0, 2]) * dz
    k11, k12 = float32(unproject[1, 1]), float32(unproject[1, 2]) * dz
    m0, m1, m2 = z * float32(row[0]), z * float32(row[1]), z * float32(row[2]) + float32(row[3])
    for i in range(BLOCK):
        a_u, a_v, e_u, e_v = states[b, A_U, i], states[b, A_V, i], states[b, E_U, i], states[b, E_V, i]
        u = min(max(float32(0), a_u + d * e_u), right)
        v = min(max(float32(0), a_v + d * e_v), bottom)
        du = z_next * min(max(float32(0), a_u + d_next * e_u), right) - z * u
        dv = z_next * min(max(float32(0), a_v + d_next * e_v), bottom) - z * v
        texel_u, texel_v = min(int32(u), last_column), min(int32(v), last_row)
        corner[i] = TEXEL * (texel_v * columns + texel_u)
        sample[FRACTION_U, i] = u - float32(texel_u)
        sample[FRACTION_V, i] = v - float32(texel_v)
        dx = k00 * du + k01 * dv + k02
        dy = k11 * dv + k12
        depth = m0 * u + m1 * v + m2
        length = np.sqrt(dx * dx + dy * dy + dz * dz) if d_next < d else float32(LAST_INTERVAL)
        sample[DEPTH, i] = depth
        sample[STEP, i] = length if depth > 0 else float32(0)


@inlined
def intersect_inside(states, b, d, d_next, size, corner, sample):
    """The same within the frame, where nothing is clamped."""
    z, columns = float32(1) / d, int32(size[1])
    dz = float32(1) / d_next - z
    for i in range(BLOCK):
        u = states[b, A_U, i] + d * states[b, E_U, i]
        v = states[b, A_V, i] + d * states[b, E_V, i]
        texel_u, texel_v = int32(u), int32(v)
        corner[i] = TEXEL * (texel_v * columns + texel_u)
        sample[FRACTION_U, i] = u - float32(texel_u)
        sample[FRACTION_V, i] = v - float32(texel_v)
        depth = z * states[b, DEPTH_BY_Z, i] + states[b, DEPTH_AT_0, i]
        length = dz * states[b, LENGTH, i] if d_next < d else float32(LAST_INTERVAL)
        sample[DEPTH, i] = depth
        sample[STEP, i] = length if depth > 0 else float32(0)


@inlined
def intersect_detail(states, b, d, size, detail_size, corner, sample):
    """Where a block meets one plane, in the detail's pixels: both images span the same frame, edge to edge."""
    scale_v, scale_u = float32(detail_size[0] / size[0]), float32(detail_size[1] / size[1])
    bottom, right, columns = float32(detail_size[0] - 1), float32(detail_size[1] - 1), int32(detail_size[1])
    last_row, last_column = int32(max(detail_size[0] - 2, 0)), int32(max(detail_size[1] - 2, 0))
    for i in range(BLOCK):
        u = (states[b, A_U, i] + d * states[b, E_U, i] + float32(0.5)) * scale_u - float32(0.5)
        v = (states[b, A_V, i] + d * states[b, E_V, i] + float32(0.5)) * scale_v - float32(0.5)
        u = min(max(float32(0), u), right)
        v = min(max(float32(0), v), bottom)
        texel_u, texel_v = min(int32(u), last_column), min(int32(v), last_row)
        corner[i] = TEXEL * (texel_v * columns + texel_u)
        sample[FRACTION_U, i] = u - float32(texel_u)
        sample[FRACTION_V, i] = v - float32(texel_v)
