"""Triton kernels of the renderer for GPUs: `forward` renders a tile of target pixels, `backward` its gradients.

One program handles a tile of target pixels and goes through the planes front to back. As in the CPU renderer (see
`mine.render.cpu.geometry`), the source pixel through which a target pixel p sees the plane of disparity d is a + d e:
with the infinite homography A = K_s Rᵀ K_t^-1 and the epipole b = K_s Rᵀ t, a = (A p) / (A p)_z and e = b_z a - b.
Distances and depths follow from those pixels, so nothing is warped or stored. A pixel's ray is terminated when its
transmittance falls to a minimum, a program when all its rays are.

The backward pass keeps three values of each pixel: its last transmittance, Σ w, and the number of planes it went
through. It goes back to front: dividing the transmittance by a plane's factor restores the one in front of the plane,
and what all planes behind contribute is summed from the back, without cancellation. With o = σδ, p = exp(-o),
q = p + 1e-6, T_k = Π_{j<k} q_j, w_k = T_k (1 - p_k) and G_k = ∂L/∂w_k, Li et al. 2021, eq. 3 and 4, differentiate to

    ∂L/∂c_k = w_k ∂L/∂C        ∂L/∂σ_k = δ_k p_k (T_k G_k - Σ_{j>k} w_j G_j / q_k).

Both are added to the four texels that were sampled, atomically: the order of additions, so the last digit, may vary.

Equals `reference.render` and its gradients: tests/render/triton/test_render.py compares them, views to 2e-4 (5e-5 with
gradients), gradients to 1e-4 of the largest.

Cameras are (B, CAMERA_SIZE) arrays; the constants below say where their parts begin. Only functions of Triton's core
are used: those of its standard library are Triton code themselves, and could not be interpreted where something else
imported Triton before. A kernel takes tensors and scalars one by one, not in tuples: hence the many arguments.
"""

# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False
# Kernels have no annotations but their compile-time constants: Triton infers the types from the arguments.

import triton
import triton.language as tl

from mine.render import reference

LAST_INTERVAL = tl.constexpr(reference.LAST_INTERVAL)
TRANSMITTANCE_FLOOR = tl.constexpr(reference.TRANSMITTANCE_FLOOR)
# Parts of a camera: A (3, 3); b (3,); K_s^-1 (3, 3); the row that takes z (u, v, 1) and 1 to target depth (4,); the
# transmittance at which a ray is terminated.
HOMOGRAPHY, EPIPOLE, UNPROJECT, DEPTH_ROW, MIN_TRANSMITTANCE, CAMERA_SIZE = (
    tl.constexpr(0),
    tl.constexpr(9),
    tl.constexpr(12),
    tl.constexpr(21),
    tl.constexpr(25),
    tl.constexpr(26),
)

FAR = tl.constexpr(1e12)
"""Bound on source coordinates of rays almost parallel to the planes: it keeps them finite, so that clamping works."""

# A size of 1 must not become a constant: constants have none of the methods used here.
SIZES = ["count", "height", "width", "detail_height", "detail_width", "out_height", "out_width"]


@triton.jit
def _maximum(one, other):
    return tl.maximum(one, other)


@triton.jit
def _tile(out_height, out_width, TILE_H: tl.constexpr, TILE_W: tl.constexpr):
    """Pixels x, y of this program's tile, their offsets in a target image, and whether they lie in it."""
    across = (out_width + TILE_W - 1) // TILE_W
    lane = tl.arange(0, TILE_H * TILE_W)
    x = tl.program_id(0) % across * TILE_W + lane % TILE_W
    y = tl.program_id(0) // across * TILE_H + lane // TILE_W
    return x, y, y * out_width + x, (x < out_width) & (y < out_height)


@triton.jit
def _bound_far(x):
    return tl.minimum(tl.maximum(x, -FAR), FAR)


@triton.jit
def _epipolar_lines(camera, x, y):
    """a_x, a_y, e_x, e_y of the target pixels x, y."""
    h, epipole = camera + HOMOGRAPHY, camera + EPIPOLE
    w = tl.load(h + 6) * x + tl.load(h + 7) * y + tl.load(h + 8)
    w = tl.where(tl.abs(w) > 1 / FAR, w, 1 / FAR)
    u = _bound_far((tl.load(h + 0) * x + tl.load(h + 1) * y + tl.load(h + 2)) / w)
    v = _bound_far((tl.load(h + 3) * x + tl.load(h + 4) * y + tl.load(h + 5)) / w)
    forward = tl.load(epipole + 2)
    return u, v, forward * u - tl.load(epipole + 0), forward * v - tl.load(epipole + 1)


@triton.jit
def _clamp(u, length):
    """Source coordinates clamped to [0, length - 1], NaN to 0."""
    return tl.minimum(tl.maximum(u, 0.0), length - 1.0)


@triton.jit
def _covers(line, d, height, width):
    """1 where the sample lies strictly within (-1, W) x (-1, H), else 0."""
    u, v = line[0] + d * line[2], line[1] + d * line[3]
    return ((u > -1.0) & (u < width) & (v > -1.0) & (v < height)).to(tl.float32)


@triton.jit
def _intersect(line, camera, disparity, k, count, height, width):
    """Where rays meet plane k: source pixels u, v clamped to the frame, distance to the next plane, and target depth.

    A plane behind the target camera gets interval 0, which has the effect of no density.
    """
    d, d_next = tl.load(disparity + k), tl.load(disparity + tl.minimum(k + 1, count - 1))
    z, z_next = 1.0 / d, 1.0 / d_next
    u, v = _clamp(line[0] + d * line[2], width), _clamp(line[1] + d * line[3], height)
    du = z_next * _clamp(line[0] + d_next * line[2], width) - z * u
    dv = z_next * _clamp(line[1] + d_next * line[3], height) - z * v
    dz = z_next - z
    unproject, row = camera + UNPROJECT, camera + DEPTH_ROW
    dx = tl.load(unproject + 0) * du + tl.load(unproject + 1) * dv + tl.load(unproject + 2) * dz
    dy = tl.load(unproject + 4) * dv + tl.load(unproject + 5) * dz
    depth = z * (tl.load(row + 0) * u + tl.load(row + 1) * v + tl.load(row + 2)) + tl.load(row + 3)
    interval = tl.where(k == count - 1, LAST_INTERVAL, tl.sqrt(dx * dx + dy * dy + dz * dz))
    return u, v, tl.where(depth > 0, interval, 0.0), depth


@triton.jit
def _texels(u, v, height, width):
    """The four texels around source pixels inside an image: their offsets, and their bilinear weights."""
    left, top = u.to(tl.int32), v.to(tl.int32)
    right, bottom = tl.minimum(left + 1, width - 1), tl.minimum(top + 1, height - 1)
    fx, fy = u - left, v - top
    offsets = (top * width + left, top * width + right, bottom * width + left, bottom * width + right)
    return offsets, ((1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy)


@triton.jit
def _detail_texels(line, d, height, width, detail_height, detail_width):
    """`_texels` in the detail, which spans the same frame as the planes, edge to edge."""
    u = (line[0] + d * line[2] + 0.5) * (detail_width / width) - 0.5
    v = (line[1] + d * line[3] + 0.5) * (detail_height / height) - 0.5
    return _texels(_clamp(u, detail_width), _clamp(v, detail_height), detail_height, detail_width)


@triton.jit
def _sample(image, offsets, weights, where):
    """Bilinear samples; 0 outside of `where`."""
    total = weights[0] * tl.load(image + offsets[0], mask=where, other=0).to(tl.float32)
    total += weights[1] * tl.load(image + offsets[1], mask=where, other=0).to(tl.float32)
    total += weights[2] * tl.load(image + offsets[2], mask=where, other=0).to(tl.float32)
    total += weights[3] * tl.load(image + offsets[3], mask=where, other=0).to(tl.float32)
    return total


@triton.jit
def _sample_rgb(image, area, offsets, weights, where):
    return (
        _sample(image, offsets, weights, where),
        _sample(image + area, offsets, weights, where),
        _sample(image + 2 * area, offsets, weights, where),
    )


@triton.jit
def _scatter(image, offsets, weights, gradient, where):
    """The transpose of `_sample`: adds gradients of samples to those of the texels."""
    tl.atomic_add(image + offsets[0], weights[0] * gradient, mask=where, sem="relaxed")
    tl.atomic_add(image + offsets[1], weights[1] * gradient, mask=where, sem="relaxed")
    tl.atomic_add(image + offsets[2], weights[2] * gradient, mask=where, sem="relaxed")
    tl.atomic_add(image + offsets[3], weights[3] * gradient, mask=where, sem="relaxed")


@triton.jit
def _scatter_rgb(image, area, offsets, weights, rgb, scale, where):
    _scatter(image, offsets, weights, scale * rgb[0], where)
    _scatter(image + area, offsets, weights, scale * rgb[1], where)
    _scatter(image + 2 * area, offsets, weights, scale * rgb[2], where)


@triton.jit(do_not_specialize=SIZES)
def forward(
    planes, source_transmittance, detail, disparity, cameras, planes_stride, source_transmittance_stride, detail_stride,
    count, height, width, detail_height, detail_width, out_height, out_width,
    image, mask, state, min_weight,
    DETAILED: tl.constexpr, KEEP_STATE: tl.constexpr, TILE_H: tl.constexpr, TILE_W: tl.constexpr,
):  # fmt: skip
    """Renders one tile of one view, program (tile, view).

    Args:
        planes: (B or 1, S, 4, H W); `planes_stride` elements from one scene to the next, 0 for one scene in all views.
        source_transmittance: (B or 1, S, H W), likewise; not read unless DETAILED.
        detail: (B or 1, 3, Hp Wp), likewise; not read unless DETAILED.
        disparity: (B, S).
        cameras: (B, CAMERA_SIZE).
        count, height, ..., out_width: S and the sizes of planes, detail and views.
        image: (B, 4, H' W'), filled with colour and depth.
        mask: (B, H' W'), filled with the number of planes that cover each pixel.
        state: (B, 3, H' W'), filled with the last transmittance, Σ w and the number of planes marched if KEEP_STATE.
        min_weight: compositing weight above which colours are sampled.
    """
    scene, area = tl.program_id(1).to(tl.int64), height * width
    planes, detail = planes + scene * planes_stride, detail + scene * detail_stride
    source_transmittance += scene * source_transmittance_stride
    disparity, camera = disparity + scene * count, cameras + scene * CAMERA_SIZE
    x, y, pixel, inside = _tile(out_height, out_width, TILE_H, TILE_W)
    line, min_transmittance = _epipolar_lines(camera, x, y), tl.load(camera + MIN_TRANSMITTANCE)
    transmittance = inside.to(tl.float32)
    zero = tl.full([TILE_H * TILE_W], 0.0, tl.float32)
    red, green, blue, weight, depth, coverage, marched = zero, zero, zero, zero, zero, zero, zero
    k = 0
    max_transmittance = tl.reduce(transmittance, 0, _maximum)
    while (k < count) & (max_transmittance > min_transmittance):
        coverage += _covers(line, tl.load(disparity + k), height, width)
        u, v, interval, z = _intersect(line, camera, disparity, k, count, height, width)
        offsets, weights = _texels(u, v, height, width)
        active = transmittance > min_transmittance
        plane = planes + tl.cast(k, tl.int64) * 4 * area
        transmitted = tl.exp(-interval * _sample(plane + 3 * area, offsets, weights, active))
        w = tl.where(active, transmittance * (1 - transmitted), 0.0)
        visible = w > min_weight
        r, g, b = _sample_rgb(plane, area, offsets, weights, visible)
        red, green, blue, weight, depth = red + w * r, green + w * g, blue + w * b, weight + w, depth + w * z
        if DETAILED:
            w *= _sample(source_transmittance + tl.cast(k, tl.int64) * area, offsets, weights, visible)
            detail_visible = w > min_weight
            d, detail_area = tl.load(disparity + k), detail_height * detail_width
            offsets, weights = _detail_texels(line, d, height, width, detail_height, detail_width)
            r, g, b = _sample_rgb(detail, detail_area, offsets, weights, detail_visible)
            red, green, blue = red + w * r, green + w * g, blue + w * b
        marched += active.to(tl.float32)
        transmittance = tl.where(active, transmittance * (transmitted + TRANSMITTANCE_FLOOR), transmittance)
        max_transmittance = tl.reduce(transmittance, 0, _maximum)
        k += 1
    while k < count:
        coverage += _covers(line, tl.load(disparity + k), height, width)
        k += 1
    out_area = out_height * out_width
    image, mask, state = image + scene * 4 * out_area, mask + scene * out_area, state + scene * 3 * out_area
    tl.store(image + pixel, red, mask=inside)
    tl.store(image + out_area + pixel, green, mask=inside)
    tl.store(image + 2 * out_area + pixel, blue, mask=inside)
    tl.store(image + 3 * out_area + pixel, depth / (weight + 1e-5), mask=inside)
    tl.store(mask + pixel, coverage, mask=inside)
    if KEEP_STATE:
        tl.store(state + pixel, transmittance, mask=inside)
        tl.store(state + out_area + pixel, weight, mask=inside)
        tl.store(state + 2 * out_area + pixel, marched, mask=inside)


@triton.jit(do_not_specialize=SIZES)
def backward(
    planes, source_transmittance, detail, disparity, cameras, planes_stride, source_transmittance_stride, detail_stride,
    count, height, width, detail_height, detail_width, out_height, out_width,
    image, state, image_grad, planes_grad, source_transmittance_grad, detail_grad,
    DETAILED: tl.constexpr, DETAIL_GRAD: tl.constexpr, TILE_H: tl.constexpr, TILE_W: tl.constexpr,
):  # fmt: skip
    """Gradients of one tile of one view, program (tile, view).

    Further arguments are those of `forward`.

    Args:
        image, state: what `forward` filled.
        image_grad: (B, 4, H' W'), of the loss with respect to image.
        planes_grad, source_transmittance_grad: float32, of the shapes of planes and source_transmittance, added to.
        detail_grad: float32, of the shape of detail, added to if DETAIL_GRAD.
    """
    scene, area = tl.program_id(1).to(tl.int64), height * width
    planes, planes_grad = planes + scene * planes_stride, planes_grad + scene * planes_stride
    source_transmittance += scene * source_transmittance_stride
    source_transmittance_grad += scene * source_transmittance_stride
    detail, detail_grad = detail + scene * detail_stride, detail_grad + scene * detail_stride
    disparity, camera = disparity + scene * count, cameras + scene * CAMERA_SIZE
    x, y, pixel, inside = _tile(out_height, out_width, TILE_H, TILE_W)
    line, out_area = _epipolar_lines(camera, x, y), out_height * out_width
    image_grad, state = image_grad + scene * 4 * out_area + pixel, state + scene * 3 * out_area + pixel
    transmittance = tl.load(state, mask=inside, other=0)
    grad_r = tl.load(image_grad, mask=inside, other=0)
    grad_g = tl.load(image_grad + out_area, mask=inside, other=0)
    grad_b = tl.load(image_grad + 2 * out_area, mask=inside, other=0)
    grad_z = tl.load(image_grad + 3 * out_area, mask=inside, other=0)
    grad_z /= tl.load(state + out_area, mask=inside, other=0) + 1e-5
    mean_depth = tl.load(image + scene * 4 * out_area + 3 * out_area + pixel, mask=inside, other=0)
    marched = tl.load(state + 2 * out_area, mask=inside, other=0)
    behind = tl.full([TILE_H * TILE_W], 0.0, tl.float32)  # Σ_{j>k} w_j G_j
    k = tl.reduce(marched, 0, _maximum).to(tl.int32) - 1
    while k >= 0:
        u, v, interval, z = _intersect(line, camera, disparity, k, count, height, width)
        offsets, weights = _texels(u, v, height, width)
        active, step = marched > k, tl.cast(k, tl.int64) * area
        plane, plane_grad = planes + 4 * step, planes_grad + 4 * step
        transmitted = tl.exp(-interval * _sample(plane + 3 * area, offsets, weights, active))
        factor = transmitted + TRANSMITTANCE_FLOOR
        transmittance = tl.where(active, transmittance / factor, transmittance)
        w = tl.where(active, transmittance * (1 - transmitted), 0.0)
        r, g, b = _sample_rgb(plane, area, offsets, weights, active)
        if DETAILED:
            d, detail_area = tl.load(disparity + k), detail_height * detail_width
            detail_offsets, detail_weights = _detail_texels(line, d, height, width, detail_height, detail_width)
            shown = _sample(source_transmittance + step, offsets, weights, active)
            dr, dg, db = _sample_rgb(detail, detail_area, detail_offsets, detail_weights, active)
            r, g, b = r + shown * dr, g + shown * dg, b + shown * db
            grad_shown = w * (grad_r * dr + grad_g * dg + grad_b * db)
            _scatter(source_transmittance_grad + step, offsets, weights, grad_shown, w > 0)
            if DETAIL_GRAD:
                rgb = (grad_r, grad_g, grad_b)
                _scatter_rgb(detail_grad, detail_area, detail_offsets, detail_weights, rgb, w * shown, w > 0)
        grad_weight = grad_r * r + grad_g * g + grad_b * b + grad_z * (z - mean_depth)
        _scatter_rgb(plane_grad, area, offsets, weights, (grad_r, grad_g, grad_b), w, w > 0)
        grad_sigma = interval * transmitted * (transmittance * grad_weight - behind / factor)
        _scatter(plane_grad + 3 * area, offsets, weights, grad_sigma, active & (interval > 0))
        behind += w * grad_weight
        k -= 1
