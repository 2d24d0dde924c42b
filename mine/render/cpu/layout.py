"""The arrays of the CPU renderer's kernels, and what their rows mean.

A block is a rectangle of target pixels that a kernel handles together; a tile is a square of a plane's pixels whose
largest density is known. Arrays of a block have a row for each quantity and a column for each pixel, row by row of the
block, so that loops over pixels become SIMD instructions.
"""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
# Kernels have no annotations: numba infers the types from their callers.

from typing import NamedTuple

import numpy as np
from numba import float32, float64, int32, int64, types

from mine.kernels.arrays import Array
from mine.kernels.jit import inlined

BLOCK_WIDTH, BLOCK_HEIGHT = 16, 8
"""Sides of a block: small, since a small block meets opaque surfaces in few planes."""

BLOCK = BLOCK_WIDTH * BLOCK_HEIGHT
"""Pixels of a block."""

ROW_BLOCKS = 32
"""Most blocks that go through the planes together: their states fit the second-level cache."""

TILE = 8
"""Side of a tile, in pixels of a plane."""

TEXEL = 16
"""Bytes of a pixel of planes and of the detail: four interleaved float32 (red, green, blue, density)."""

ONE_STRIP = 30
"""Shift of a strip that is wider than any image."""

# Rows of a block's state. The source pixel at disparity d is (INFINITY_U + d EPIPOLAR_U, INFINITY_V + d EPIPOLAR_V),
# see `geometry`. The length of K_s^-1 (u, v, 1) at infinity; target depth as a linear function of source depth.
INFINITY_U, INFINITY_V, EPIPOLAR_U, EPIPOLAR_V, RAY_LENGTH, DEPTH_SLOPE, DEPTH_OFFSET = range(7)
# Accumulators: transmittance T; Σ w; Σ w z; the number of planes that cover the pixel. From COLOUR_SUM on, four rows
# hold Σ w (red, green, blue, density), interleaved.
TRANSMITTANCE, WEIGHT_SUM, DEPTH_SUM, COVERAGE, COLOUR_SUM = range(7, 12)
STATE_ROWS = COLOUR_SUM + 4

# Rows of a block's samples of one plane: bilinear weights of the right and the lower texel; distance δ to the next
# plane; target depth; samples of σ; σδ; compositing weight w; samples of T^src. From TEXELS on, four rows hold samples
# of four interleaved channels.
WEIGHT_U, WEIGHT_V, INTERVAL, DEPTH, DENSITY, OPTICAL_DEPTH, WEIGHT, SOURCE_TRANSMITTANCE, TEXELS = range(9)
SAMPLE_ROWS = TEXELS + 4

# Columns of a block's progress: bound on the error of the planes skipped so far; its limit; the largest transmittance
# left; the largest `geometry.max_ray_length`, or 0 where the block does not see a quadrilateral of each plane.
SKIPPED, SKIP_LIMIT, MAX_TRANSMITTANCE, MAX_RAY_LENGTH = range(4)
PROGRESS_COLUMNS = 4


class SceneArrays(NamedTuple):
    """Scenes as the kernels read them, with what does not depend on the view. b is B, or 1 for one scene in all views.

    A pixel beyond the last of planes, source_transmittance, photo_reach and detail is readable where their images have
    one column, since texels are read in pairs.
    """

    planes: Array
    """(b, S, N, 4) float32; N is H W, or what `mine.render.strips` makes of it"""
    max_density: Array
    """(b, S, ⌈H / TILE⌉, ⌈W / TILE⌉) float32: bound on bilinear samples that begin in a tile"""
    source_transmittance: Array
    """(b, S, H W) float32; empty without detail, and with photo_reach"""
    photo_reach: Array
    """(b, N) float32: disparity down to which planes show the photo; empty where source_transmittance tells it"""
    detail: Array
    """(b, Hp Wp, 4) float32; empty without detail"""
    size: tuple[int, int]
    """(H, W)"""
    detail_size: tuple[int, int]
    """(Hp, Wp), (0, 0) without detail"""
    strips: tuple[int, int]
    """shift and pitch of planes and photo_reach, see `texel_index`"""


class CameraArrays(NamedTuple):
    """`mine.render.cameras.Cameras` as float64 arrays."""

    homography: Array
    """(B, 3, 3)"""
    epipole: Array
    """(B, 3)"""
    unproject: Array
    """(B, 3, 3)"""
    depth_row: Array
    """(B, 4)"""


class Scratch(NamedTuple):
    """What one call of `kernels.render_rows` works in: n blocks of a row of the view."""

    states: Array
    """(n, STATE_ROWS, BLOCK) float32"""
    bounding_boxes: Array
    """(n, 4, S) float32: least and largest u, least and largest v of the source pixels, for each plane"""
    progress: Array
    """(n, PROGRESS_COLUMNS) float32"""
    samples: Array
    """(SAMPLE_ROWS, BLOCK) float32: of one block and plane"""
    offsets: Array
    """(BLOCK,) int32: byte offsets of the samples' top-left texels"""

    @classmethod
    def allocate(cls, width: int, planes: int) -> "Scratch":
        """For views `width` pixels wide, of so many planes."""
        blocks = min(-(-width // BLOCK_WIDTH), ROW_BLOCKS)
        return cls(
            np.empty((blocks, STATE_ROWS, BLOCK), np.float32),
            np.empty((blocks, 4, planes), np.float32),
            np.empty((blocks, PROGRESS_COLUMNS), np.float32),
            np.zeros((SAMPLE_ROWS, BLOCK), np.float32),
            np.empty(BLOCK, np.int32),
        )


@inlined
def texel_index(y, x, height, strips):
    """Index of pixel (y, x) of a plane in strips of 1 << shift columns, `pitch` texels a row, one after another.

    A plane that is no more than an image, row by row, is one strip: `ONE_STRIP`, and its width as the pitch.
    """
    shift, pitch = int32(strips[0]), int32(strips[1])
    return (x >> shift) * (int32(height) * pitch) + y * pitch + (x & ((int32(1) << shift) - int32(1)))


# Kernels take plain tuples, and name the fields themselves: numba's cache would refer to the classes of named tuples by
# name, and an older cache than the last renaming would raise an error instead of being compiled again.
SIZE_TYPE = types.UniTuple(int64, 2)

SCENES_TYPE = types.Tuple(
    (
        float32[:, :, :, ::1],
        float32[:, :, :, ::1],
        float32[:, :, ::1],
        float32[:, ::1],
        float32[:, :, ::1],
        SIZE_TYPE,
        SIZE_TYPE,
        SIZE_TYPE,
    )
)

CAMERAS_TYPE = types.Tuple((float64[:, :, ::1], float64[:, ::1], float64[:, :, ::1], float64[:, ::1]))

SCRATCH_TYPE = types.Tuple((float32[:, :, ::1], float32[:, :, ::1], float32[:, ::1], float32[:, ::1], int32[::1]))
