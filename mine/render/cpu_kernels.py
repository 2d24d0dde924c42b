"""Compiled kernels of the renderer for processors.

Three identities make them fast; all are exact.

1. The source pixel through which a target pixel p sees a plane is linear in the plane's disparity d. With the infinite
   homography A = K_s Rᵀ K_t^-1 and the epipole b = K_s Rᵀ t, a = (A p) / (A p)_z and e = b_z a - b, it is a + d e: one
   division per pixel, then two multiplications per plane. The four numbers a, e are the pixel's epipolar line.
2. Distances between planes and depths follow from those coordinates, so no image is ever warped or written.
3. Planes are walked front to back, so a pixel whose transmittance is spent needs no more of them, and colours are
   fetched only where a plane has weight. A strip passes by planes that are empty where it meets them: of a lifted
   surface, most are.

Pixels go through each step in strips of `STRIP`, whose state stays in the first-level cache: the arithmetic becomes
vector instructions, and only the fetches are scalar. The planes are read as they are: interleaving their channels
takes longer than it saves.

Compiled code is kept beside this file, or in the user's cache folder where the package cannot be written, so only the
first import on a machine compiles (some seconds).
"""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
# Kernels have no annotations: numba gives them the types of their callers, down from the two signatures.

import numpy as np
from numba import float32, int32, uint32, uint64

from mine.compiled import compiled, exp_minus, inlined
from mine.render.reference import LAST_INTERVAL, TRANSMITTANCE_FLOOR

STRIP = 32
"""Pixels of a row that take each step together: in few of them, surfaces meet few planes."""

TILE = 16
"""Side, in pixels of a plane, of the squares that are known to be empty or not."""

TOLERANCE = 1e-4
"""Largest error in colour, and in depth relative to the farthest plane's, that skipping what adds little may cause."""

FAR = 1e12
"""Bound on source coordinates of rays almost parallel to the planes: it keeps them finite, so that clamping works."""


@inlined
def _epipolar_lines(homography, epipole, x, y, line):
    """Identity 1 for the pixels (x, y) to (x + STRIP - 1, y): line (4, STRIP) = a_x, a_y, e_x, e_y."""
    for i in range(STRIP):
        w = homography[2, 0] * (x + i) + homography[2, 1] * y + homography[2, 2]
        w = w if abs(w) > 1 / FAR else 1 / FAR
        u = (homography[0, 0] * (x + i) + homography[0, 1] * y + homography[0, 2]) / w
        v = (homography[1, 0] * (x + i) + homography[1, 1] * y + homography[1, 2]) / w
        u = min(max(-FAR, u), FAR)
        v = min(max(-FAR, v), FAR)
        line[0, i] = u
        line[1, i] = v
        line[2, i] = epipole[2] * u - epipole[0]
        line[3, i] = epipole[2] * v - epipole[1]


@inlined
def _count(line, disparity, size, covered):
    """Planes whose sample lies strictly within (-1, W) x (-1, H): all of them, where the first and the last are."""
    covered[:] = 0
    _count_inside(line, disparity[:: len(disparity) - 1], size, covered)
    everywhere = float32(0)
    for i in range(STRIP):
        everywhere += float32(1) if covered[i] == float32(2) else float32(0)
    if everywhere == STRIP:
        covered[:] = len(disparity)
    else:
        covered[:] = 0
        _count_inside(line, disparity, size, covered)


@inlined
def _count_inside(line, disparity, size, covered):
    bottom, right = float32(size[0]), float32(size[1])
    for d in disparity:
        for i in range(STRIP):
            u = line[0, i] + d * line[2, i]
            v = line[1, i] + d * line[3, i]
            inside = (u > float32(-1)) & (u < right) & (v > float32(-1)) & (v < bottom)
            covered[i] += float32(1) if inside else float32(0)


@inlined
def _intersect(line, d, d_next, unproject, row, size, corner, fraction, step, depth):
    """Where a strip meets one plane: top-left texel `corner`, bilinear `fraction`, depth, and distance to the next.

    A plane behind the target camera has step 0, which is as good as no density.
    """
    z, z_next = float32(1) / d, float32(1) / d_next
    dz = z_next - z
    bottom, right, columns = float32(size[0] - 1), float32(size[1] - 1), int32(size[1])
    last_row, last_column = int32(max(size[0] - 2, 0)), int32(max(size[1] - 2, 0))
    k00, k01, k02 = float32(unproject[0, 0]), float32(unproject[0, 1]), float32(unproject[0, 2]) * dz
    k11, k12 = float32(unproject[1, 1]), float32(unproject[1, 2]) * dz
    m0, m1, m2 = z * float32(row[0]), z * float32(row[1]), z * float32(row[2]) + float32(row[3])
    for i in range(STRIP):
        u = min(max(float32(0), line[0, i] + d * line[2, i]), right)
        v = min(max(float32(0), line[1, i] + d * line[3, i]), bottom)
        du = z_next * min(max(float32(0), line[0, i] + d_next * line[2, i]), right) - z * u
        dv = z_next * min(max(float32(0), line[1, i] + d_next * line[3, i]), bottom) - z * v
        texel_u, texel_v = min(int32(u), last_column), min(int32(v), last_row)
        corner[i] = texel_v * columns + texel_u
        fraction[0, i] = u - float32(texel_u)
        fraction[1, i] = v - float32(texel_v)
        dx = k00 * du + k01 * dv + k02
        dy = k11 * dv + k12
        depth[i] = m0 * u + m1 * v + m2
        length = np.sqrt(dx * dx + dy * dy + dz * dz)
        step[i] = length if depth[i] > 0 else float32(0)


@inlined
def _meets_density(occupied, line, d, size):
    """Whether a strip may meet density on a plane, from its ends: what lies between them lies between their images."""
    last_row, last_column = float32(size[0] - 1), float32(size[1] - 1)
    u0 = min(max(float32(0), line[0, 0] + d * line[2, 0]), last_column)
    v0 = min(max(float32(0), line[1, 0] + d * line[3, 0]), last_row)
    u1 = min(max(float32(0), line[0, STRIP - 1] + d * line[2, STRIP - 1]), last_column)
    v1 = min(max(float32(0), line[1, STRIP - 1] + d * line[3, STRIP - 1]), last_row)
    for y in range(int32(min(v0, v1)) // TILE, int32(max(v0, v1)) // TILE + 1):
        for x in range(int32(min(u0, u1)) // TILE, int32(max(u0, u1)) // TILE + 1):
            if occupied[y, x]:
                return True
    return False


@inlined
def _one_side(homography, x, y):
    """Whether a whole strip lies on one side of the source camera's horizon, so that its image is one segment."""
    start = homography[2, 0] * x + homography[2, 1] * y + homography[2, 2]
    return start * (start + homography[2, 0] * (STRIP - 1)) > 0


@inlined
def _behind_last(depth, step):
    for i in range(STRIP):
        step[i] = float32(LAST_INTERVAL) if depth[i] > 0 else float32(0)


@inlined
def _hop(rows, columns):
    """How far away, in a flat image, the next column and row are: nowhere in an image that has only one."""
    return uint64(columns > 1), uint64(columns if rows > 1 else 0)


@inlined
def _bilinear(image, corner, fx, fy, hop):
    """Sample of a flat image between the texel `corner` and those a `hop` away."""
    top = image[corner] + (image[corner + hop[0]] - image[corner]) * fx
    below = corner + hop[1]
    bottom = image[below] + (image[below + hop[0]] - image[below]) * fx
    return top + (bottom - top) * fy


@inlined
def _times_density(sigma, corner, fraction, hop, step):
    """Turns steps into optical depths."""
    for i in range(STRIP):
        step[i] *= _bilinear(sigma, uint64(uint32(corner[i])), fraction[0, i], fraction[1, i], hop)


@inlined
def _absorb(optical, depth, ray, weight, least_through):
    """Volume rendering of one plane (eq. 3 and 4), all but colour; ray (4, STRIP) = T, Σ w, Σ w z, Σ w left out.

    The weight of a plane is set to 0 when those left out so far, with this one, sum to less than `TOLERANCE`.
    Returns in how many pixels the plane has weight, and how many it leaves transparent.
    """
    # Counted in float32: what mixes numbers of other widths takes half as many at a time.
    weighty, transparent = float32(0), float32(0)
    for i in range(STRIP):
        passed = exp_minus(optical[i])
        w = ray[0, i] * (float32(1) - passed)
        through = ray[0, i] * (passed + float32(TRANSMITTANCE_FLOOR))
        ray[0, i] = through
        ray[1, i] += w
        ray[2, i] += w * depth[i]
        left_out = ray[3, i] + w
        negligible = left_out < float32(TOLERANCE)
        ray[3, i] = left_out if negligible else ray[3, i]
        weight[i] = float32(0) if negligible else w
        weighty += float32(0) if negligible else float32(1)
        transparent += float32(1) if through > least_through else float32(0)
    return weighty, transparent


@inlined
def _add_colour(image, corner, fraction, hop, weight, rgb):
    """Adds weight times the bilinear samples of an image (3 or more, H W) to rgb (3, STRIP)."""
    red, green, blue = image[0], image[1], image[2]
    for i in range(STRIP):
        if weight[i] > 0:
            top_left = uint64(uint32(corner[i]))
            top_right, bottom_left = top_left + hop[0], top_left + hop[1]
            bottom_right = bottom_left + hop[0]
            w = weight[i]
            w_right = fraction[0, i] * w
            w11 = w_right * fraction[1, i]
            w01 = w_right - w11
            w10 = (w - w_right) * fraction[1, i]
            w00 = w - w_right - w10
            r = w00 * red[top_left] + w01 * red[top_right] + w10 * red[bottom_left] + w11 * red[bottom_right]
            g = w00 * green[top_left] + w01 * green[top_right] + w10 * green[bottom_left] + w11 * green[bottom_right]
            b = w00 * blue[top_left] + w01 * blue[top_right] + w10 * blue[bottom_left] + w11 * blue[bottom_right]
            rgb[0, i] += r
            rgb[1, i] += g
            rgb[2, i] += b


@inlined
def _only_seen(seen, corner, fraction, hop, weight, least_weight):
    """Scales the weights of a plane by what the source camera sees of it, seen (H W)."""
    for i in range(STRIP):
        if weight[i] > 0:
            share = weight[i] * _bilinear(seen, uint64(uint32(corner[i])), fraction[0, i], fraction[1, i], hop)
            weight[i] = share if share > least_weight else float32(0)


@inlined
def _intersect_detail(line, d, size, detail_size, corner, fraction):
    """Where a strip meets one plane, in the detail's pixels: both images span the same frame, edge to edge."""
    scale_v, scale_u = float32(detail_size[0] / size[0]), float32(detail_size[1] / size[1])
    bottom, right, columns = float32(detail_size[0] - 1), float32(detail_size[1] - 1), int32(detail_size[1])
    last_row, last_column = int32(max(detail_size[0] - 2, 0)), int32(max(detail_size[1] - 2, 0))
    for i in range(STRIP):
        u = (line[0, i] + d * line[2, i] + float32(0.5)) * scale_u - float32(0.5)
        v = (line[1, i] + d * line[3, i] + float32(0.5)) * scale_v - float32(0.5)
        u = min(max(float32(0), u), right)
        v = min(max(float32(0), v), bottom)
        texel_u, texel_v = min(int32(u), last_column), min(int32(v), last_row)
        corner[i] = texel_v * columns + texel_u
        fraction[0, i] = u - float32(texel_u)
        fraction[1, i] = v - float32(texel_v)


@inlined
def _write(rgb, ray, covered, out, y, x):
    for i in range(min(STRIP, out.shape[2] - x)):
        for c in range(3):
            out[c, y, x + i] = rgb[c, i]
        out[3, y, x + i] = ray[2, i] / (ray[1, i] + float32(1e-5))
        out[4, y, x + i] = covered[i]


@compiled(
    "void(float32[:,:,:,::1], boolean[:,:,:,::1], float32[:,:,::1], float32[:,:,::1], float32[:,::1], "
    "float64[:,:,::1], float64[:,::1], float64[:,:,::1], float64[:,::1], UniTuple(int64, 2), UniTuple(int64, 2), "
    "float32[:,:,:,::1], int64, int64)"
)
def render_rows(
    scenes,
    occupancies,
    seens,
    details,
    disparities,
    homographies,
    epipoles,
    unprojects,
    rows,
    size,
    detail_size,
    out,
    first,
    last,
):
    """Fills rows `first` to `last` - 1 of out (B, 5, H', W'), counted through all views: colour, depth, mask.

    scenes (B or 1, S, 4, H W), occupancies (B or 1, S, tiles down, tiles across), seens (B or 1, S, H W), details
    (B or 1, 3, Hp Wp), the rest (B, ...).
    """
    planes, hop, detail_hop = scenes.shape[1], _hop(size[0], size[1]), _hop(detail_size[0], detail_size[1])
    scratch = np.empty((18, STRIP), np.float32)
    line, fraction, ray, rgb = scratch[0:4], scratch[4:6], scratch[6:10], scratch[10:13]
    step, depth, weight, covered = scratch[13], scratch[14], scratch[15], scratch[16]
    corner = scratch[17].view(np.int32)
    for view_row in range(first, last):
        view, y = view_row // out.shape[2], view_row % out.shape[2]
        scene, seen = scenes[min(view, len(scenes) - 1)], seens[min(view, len(seens) - 1)]
        detail, disparity = details[min(view, len(details) - 1)], disparities[view]
        occupied = occupancies[min(view, len(occupancies) - 1)]
        least_through = float32(TOLERANCE / (1 + 1 / disparity[planes - 1] + abs(rows[view, 3])))
        for x in range(0, out.shape[3], STRIP):
            _epipolar_lines(homographies[view], epipoles[view], x, y, line)
            _count(line, disparity, size, covered)
            may_pass = _one_side(homographies[view], x, y)
            ray[0] = 1
            ray[1:] = 0
            rgb[:] = 0
            for k in range(planes):
                d, d_next = disparity[k], disparity[min(k + 1, planes - 1)]
                if may_pass and not _meets_density(occupied[k], line, d, size):
                    continue
                _intersect(line, d, d_next, unprojects[view], rows[view], size, corner, fraction, step, depth)
                if k == planes - 1:
                    _behind_last(depth, step)
                _times_density(scene[k, 3], corner, fraction, hop, step)
                weighty, transparent = _absorb(step, depth, ray, weight, least_through)
                if weighty:
                    _add_colour(scene[k], corner, fraction, hop, weight, rgb)
                    if detail.size:
                        _only_seen(seen[k], corner, fraction, hop, weight, float32(TOLERANCE / planes))
                        _intersect_detail(line, d, size, detail_size, corner, fraction)
                        _add_colour(detail, corner, fraction, detail_hop, weight, rgb)
                if not transparent:
                    break
            _write(rgb, ray, covered, out[view], y, x)


@compiled("void(float32[:,:,:,::1], float32[:,::1], float64[:,:,::1], int64, float32[:,:,::1], int64, int64)")
def source_rows(scenes, disparities, unprojects, width, seen, first, last):
    """Fills rows `first` to `last` - 1 of seen (B, S, H W), counted through all scenes: T_k^src."""
    height = scenes.shape[3] // width
    for scene_row in range(first, last):
        b, y = scene_row // height, scene_row % height
        scene = scenes[min(b, len(scenes) - 1)]
        unproject, start = unprojects[b], y * width
        seen[b, 0, start : start + width] = 1
        for k in range(scenes.shape[1] - 1):
            dz = float32(1) / disparities[b, k + 1] - float32(1) / disparities[b, k]
            sigma, here = scene[k, 3, start : start + width], seen[b, k, start : start + width]
            after = seen[b, k + 1, start : start + width]
            for x in range(width):
                ray_x = float32(unproject[0, 0] * x + unproject[0, 1] * y + unproject[0, 2])
                ray_y = float32(unproject[1, 1] * y + unproject[1, 2])
                step = dz * np.sqrt(ray_x * ray_x + ray_y * ray_y + float32(1))
                after[x] = here[x] * (exp_minus(sigma[x] * step) + float32(TRANSMITTANCE_FLOOR))


@inlined
def _all_occupied(found, occupied):
    """Sums up what was found in columns of pixels by tiles, and says whether all hold something."""
    everywhere = True
    for tile_x in range(len(occupied)):
        bits = int32(0)
        for x in range(tile_x * TILE, min((tile_x + 1) * TILE + 1, len(found))):
            bits |= found[x]
        occupied[tile_x] = bits != 0
        everywhere &= bits != 0
    return everywhere


@compiled("void(float32[:,:,:,::1], int64, boolean[:,:,:,::1], int64, int64)")
def occupied_rows(scenes, width, occupied, first, last):
    """Fills rows `first` to `last` - 1 of occupied (B, S, H / TILE, W / TILE), counted through all planes.

    A tile is occupied when a sample within it can meet density: bilinear samples reach one pixel right and down.
    """
    planes, height, found = scenes.shape[1], scenes.shape[3] // width, np.empty(width, np.int32)
    for row in range(first, last):
        plane, tile_y = row // occupied.shape[2], row % occupied.shape[2]
        sigma = scenes[plane // planes, plane % planes, 3].view(np.int32)  # the bits of 0 are 0
        top, end = tile_y * TILE, min((tile_y + 1) * TILE + 1, height)
        found[:] = 0
        for y in range(top, end):
            for x in range(width):
                found[x] |= sigma[y * width + x]
            # In fog the first row will do.
            if (y == top or y == end - 1) and _all_occupied(found, occupied[plane // planes, plane % planes, tile_y]):
                break
