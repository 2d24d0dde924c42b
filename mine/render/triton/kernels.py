"""Triton kernels of the renderer for GPUs: `forward` draws a tile of target pixels, `backward` its gradients.

One program takes a tile of target pixels and walks the planes front to back. As in the kernels for processors, the
source pixel through which a target pixel p sees the plane of disparity d is a + d e: with the infinite homography
A = K_s Rᵀ K_t^-1 and the epipole b = K_s Rᵀ t, a = (A p) / (A p)_z and e = b_z a - b. Distances and depths follow from
those pixels, so nothing is warped or stored; the walk ends where no pixel of the tile has light left.

The backward pass keeps, of each pixel, only the light left at the end of its walk, how many planes it walked, and the
sum of its weights. It walks back to front: dividing by each plane's factor restores the light that reached it, and the
share of what lies behind it is summed from the back, without cancellation. With o = σδ, p = exp(-o), q = p + 1e-6,
T_k = Π_{j<k} q_j, w_k = T_k (1 - p_k) and G_k = ∂L/∂w_k, differentiating eq. 3 and 4 gives

    ∂L/∂c_k = w_k ∂L/∂C        ∂L/∂σ_k = δ_k p_k (T_k G_k - Σ_{j>k} w_j G_j / q_k).

Both go to the four texels that were sampled, by atomic additions: their order, so the last digit, may vary.

Cameras are (B, 26): A (9), b (3), K_s^-1 (9), the row that turns z (u, v, 1) into target depth (4), and the light below
which a pixel's walk ends. Only functions of Triton's core are used: those of its standard library, being Triton code
themselves, could not be interpreted where something else imported Triton before.
"""

# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False
# Kernels have no annotations but their compile-time constants: Triton gives them the types of their arguments.

import triton
import triton.language as tl

from mine.render import reference

LAST_INTERVAL = tl.constexpr(reference.LAST_INTERVAL)
TRANSMITTANCE_FLOOR = tl.constexpr(reference.TRANSMITTANCE_FLOOR)
FAR = tl.constexpr(1e12)
"""Bound on source coordinates of rays almost parallel to the planes: it keeps them finite, so that clamping works."""

# A size of 1 must not become a constant: constants have none of the methods used here.
SIZES = ["count", "height", "width", "detail_height", "detail_width", "out_height", "out_width"]


@triton.jit
def _larger(one, other):
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
def _bounded(x):
    return tl.minimum(tl.maximum(x, -FAR), FAR)


@triton.jit
def _epipolar_lines(camera, x, y):
    """a_x, a_y, e_x, e_y of the pixels x, y."""
    w = tl.load(camera + 6) * x + tl.load(camera + 7) * y + tl.load(camera + 8)
    w = tl.where(tl.abs(w) > 1 / FAR, w, 1 / FAR)
    u = _bounded((tl.load(camera + 0) * x + tl.load(camera + 1) * y + tl.load(camera + 2)) / w)
    v = _bounded((tl.load(camera + 3) * x + tl.load(camera + 4) * y + tl.load(camera + 5)) / w)
    forward = tl.load(camera + 11)
    return u, v, forward * u - tl.load(camera + 9), forward * v - tl.load(camera + 10)


@triton.jit
def _clamped(u, length):
    """Pixels moved inside an image of this length; what is not a number goes to 0."""
    return tl.minimum(tl.maximum(u, 0.0), length - 1.0)


@triton.jit
def _covers(line, d, height, width):
    """1 where the sample lies strictly within (-1, W) x (-1, H), else 0."""
    u, v = line[0] + d * line[2], line[1] + d * line[3]
    return ((u > -1.0) & (u < width) & (v > -1.0) & (v < height)).to(tl.float32)


@triton.jit
def _meet(line, camera, disparity, k, count, height, width):
    """Where rays meet plane k: source pixels u, v inside the frame, the interval behind it, and depth.

    A plane behind the target camera has interval 0, which is as good as no density.
    """
    d, d_next = tl.load(disparity + k), tl.load(disparity + tl.minimum(k + 1, count - 1))
    z, z_next = 1.0 / d, 1.0 / d_next
    u, v = _clamped(line[0] + d * line[2], width), _clamped(line[1] + d * line[3], height)
    du = z_next * _clamped(line[0] + d_next * line[2], width) - z * u
    dv = z_next * _clamped(line[1] + d_next * line[3], height) - z * v
    dz = z_next - z
    dx = tl.load(camera + 12) * du + tl.load(camera + 13) * dv + tl.load(camera + 14) * dz
    dy = tl.load(camera + 16) * dv + tl.load(camera + 17) * dz
    depth = z * (tl.load(camera + 21) * u + tl.load(camera + 22) * v + tl.load(camera + 23)) + tl.load(camera + 24)
    interval = tl.where(k == count - 1, LAST_INTERVAL, tl.sqrt(dx * dx + dy * dy + dz * dz))
    return u, v, tl.where(depth > 0, interval, 0.0), depth


@triton.jit
def _texels(u, v, height, width):
    """The four texels around pixels inside an image: their offsets, then their bilinear weights."""
    left, top = u.to(tl.int32), v.to(tl.int32)
    right, bottom = tl.minimum(left + 1, width - 1), tl.minimum(top + 1, height - 1)
    fx, fy = u - left, v - top
    offsets = (top * width + left, top * width + right, bottom * width + left, bottom * width + right)
    return offsets, ((1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy)


@triton.jit
def _detail_texels(line, d, height, width, detail_height, detail_width):
    """The same in the detail, which spans the same frame, edge to edge."""
    u = (line[0] + d * line[2] + 0.5) * (detail_width / width) - 0.5
    v = (line[1] + d * line[3] + 0.5) * (detail_height / height) - 0.5
    return _texels(_clamped(u, detail_width), _clamped(v, detail_height), detail_height, detail_width)


@triton.jit
def _sample(image, offsets, shares, wanted):
    """Bilinear samples, 0 where not wanted."""
    total = shares[0] * tl.load(image + offsets[0], mask=wanted, other=0).to(tl.float32)
    total += shares[1] * tl.load(image + offsets[1], mask=wanted, other=0).to(tl.float32)
    total += shares[2] * tl.load(image + offsets[2], mask=wanted, other=0).to(tl.float32)
    total += shares[3] * tl.load(image + offsets[3], mask=wanted, other=0).to(tl.float32)
    return total


@triton.jit
def _sample_rgb(image, area, offsets, shares, wanted):
    return (
        _sample(image, offsets, shares, wanted),
        _sample(image + area, offsets, shares, wanted),
        _sample(image + 2 * area, offsets, shares, wanted),
    )


@triton.jit
def _scatter(image, offsets, shares, value, wanted):
    """Adds `value` where a sample came from: the transpose of `_sample`."""
    tl.atomic_add(image + offsets[0], shares[0] * value, mask=wanted, sem="relaxed")
    tl.atomic_add(image + offsets[1], shares[1] * value, mask=wanted, sem="relaxed")
    tl.atomic_add(image + offsets[2], shares[2] * value, mask=wanted, sem="relaxed")
    tl.atomic_add(image + offsets[3], shares[3] * value, mask=wanted, sem="relaxed")


@triton.jit
def _scatter_rgb(image, area, offsets, shares, rgb, scale, wanted):
    _scatter(image, offsets, shares, scale * rgb[0], wanted)
    _scatter(image + area, offsets, shares, scale * rgb[1], wanted)
    _scatter(image + 2 * area, offsets, shares, scale * rgb[2], wanted)


@triton.jit(do_not_specialize=SIZES)
def forward(
    planes, seen, detail, disparity, cameras, planes_stride, seen_stride, detail_stride,
    count, height, width, detail_height, detail_width, out_height, out_width,
    image, mask, state, negligible,
    DETAILED: tl.constexpr, KEEP: tl.constexpr, TILE_H: tl.constexpr, TILE_W: tl.constexpr,
):  # fmt: skip
    """Fills image (B, 4, H' W') with colour and depth, mask (B, H' W'), and, to KEEP, state (B, 3, H' W').

    planes (B or 1, S, 4, H W), seen (B or 1, S, H W), detail (B or 1, 3, Hp Wp), each with the stride of its scenes;
    disparity (B, S), cameras (B, 26). Colours are fetched where a plane's weight is above `negligible`. The state is
    light left, sum of weights, planes walked.
    """
    scene, area = tl.program_id(1).to(tl.int64), height * width
    planes, seen, detail = planes + scene * planes_stride, seen + scene * seen_stride, detail + scene * detail_stride
    disparity, camera = disparity + scene * count, cameras + scene * 26
    x, y, pixel, inside = _tile(out_height, out_width, TILE_H, TILE_W)
    line, least = _epipolar_lines(camera, x, y), tl.load(camera + 25)
    through = inside.to(tl.float32)
    nothing = tl.full([TILE_H * TILE_W], 0.0, tl.float32)
    red, green, blue, weight, depth, covered, walked = nothing, nothing, nothing, nothing, nothing, nothing, nothing
    k = 0
    brightest = tl.reduce(through, 0, _larger)
    while (k < count) & (brightest > least):
        covered += _covers(line, tl.load(disparity + k), height, width)
        u, v, interval, z = _meet(line, camera, disparity, k, count, height, width)
        offsets, shares = _texels(u, v, height, width)
        lit = through > least
        plane = planes + tl.cast(k, tl.int64) * 4 * area
        passed = tl.exp(-interval * _sample(plane + 3 * area, offsets, shares, lit))
        w = tl.where(lit, through * (1 - passed), 0.0)
        shown = w > negligible
        r, g, b = _sample_rgb(plane, area, offsets, shares, shown)
        red, green, blue, weight, depth = red + w * r, green + w * g, blue + w * b, weight + w, depth + w * z
        if DETAILED:
            w *= _sample(seen + tl.cast(k, tl.int64) * area, offsets, shares, shown)
            known = w > negligible
            d, detail_area = tl.load(disparity + k), detail_height * detail_width
            offsets, shares = _detail_texels(line, d, height, width, detail_height, detail_width)
            r, g, b = _sample_rgb(detail, detail_area, offsets, shares, known)
            red, green, blue = red + w * r, green + w * g, blue + w * b
        walked += lit.to(tl.float32)
        through = tl.where(lit, through * (passed + TRANSMITTANCE_FLOOR), through)
        brightest = tl.reduce(through, 0, _larger)
        k += 1
    while k < count:
        covered += _covers(line, tl.load(disparity + k), height, width)
        k += 1
    out_area = out_height * out_width
    image, mask, state = image + scene * 4 * out_area, mask + scene * out_area, state + scene * 3 * out_area
    tl.store(image + pixel, red, mask=inside)
    tl.store(image + out_area + pixel, green, mask=inside)
    tl.store(image + 2 * out_area + pixel, blue, mask=inside)
    tl.store(image + 3 * out_area + pixel, depth / (weight + 1e-5), mask=inside)
    tl.store(mask + pixel, covered, mask=inside)
    if KEEP:
        tl.store(state + pixel, through, mask=inside)
        tl.store(state + out_area + pixel, weight, mask=inside)
        tl.store(state + 2 * out_area + pixel, walked, mask=inside)


@triton.jit(do_not_specialize=SIZES)
def backward(
    planes, seen, detail, disparity, cameras, planes_stride, seen_stride, detail_stride,
    count, height, width, detail_height, detail_width, out_height, out_width,
    image, state, image_grad, planes_grad, seen_grad, detail_grad,
    DETAILED: tl.constexpr, DETAIL_GRAD: tl.constexpr, TILE_H: tl.constexpr, TILE_W: tl.constexpr,
):  # fmt: skip
    """Adds to planes_grad, seen_grad and, if DETAIL_GRAD, detail_grad, shaped as what they are the gradients of.

    image and state are what `forward` filled, image_grad (B, 4, H' W') the gradient with respect to image.
    """
    scene, area = tl.program_id(1).to(tl.int64), height * width
    planes, planes_grad = planes + scene * planes_stride, planes_grad + scene * planes_stride
    seen, seen_grad = seen + scene * seen_stride, seen_grad + scene * seen_stride
    detail, detail_grad = detail + scene * detail_stride, detail_grad + scene * detail_stride
    disparity, camera = disparity + scene * count, cameras + scene * 26
    x, y, pixel, inside = _tile(out_height, out_width, TILE_H, TILE_W)
    line, out_area = _epipolar_lines(camera, x, y), out_height * out_width
    image_grad, state = image_grad + scene * 4 * out_area + pixel, state + scene * 3 * out_area + pixel
    through = tl.load(state, mask=inside, other=0)
    grad_r = tl.load(image_grad, mask=inside, other=0)
    grad_g = tl.load(image_grad + out_area, mask=inside, other=0)
    grad_b = tl.load(image_grad + 2 * out_area, mask=inside, other=0)
    grad_z = tl.load(image_grad + 3 * out_area, mask=inside, other=0)
    grad_z /= tl.load(state + out_area, mask=inside, other=0) + 1e-5
    mean = tl.load(image + scene * 4 * out_area + 3 * out_area + pixel, mask=inside, other=0)
    walked = tl.load(state + 2 * out_area, mask=inside, other=0)
    behind = tl.full([TILE_H * TILE_W], 0.0, tl.float32)  # Σ_{j>k} w_j G_j
    k = tl.reduce(walked, 0, _larger).to(tl.int32) - 1
    while k >= 0:
        u, v, interval, z = _meet(line, camera, disparity, k, count, height, width)
        offsets, shares = _texels(u, v, height, width)
        lit, step = walked > k, tl.cast(k, tl.int64) * area
        plane, plane_grad = planes + 4 * step, planes_grad + 4 * step
        passed = tl.exp(-interval * _sample(plane + 3 * area, offsets, shares, lit))
        factor = passed + TRANSMITTANCE_FLOOR
        through = tl.where(lit, through / factor, through)
        w = tl.where(lit, through * (1 - passed), 0.0)
        r, g, b = _sample_rgb(plane, area, offsets, shares, lit)
        if DETAILED:
            d, detail_area = tl.load(disparity + k), detail_height * detail_width
            there, parts = _detail_texels(line, d, height, width, detail_height, detail_width)
            share = _sample(seen + step, offsets, shares, lit)
            dr, dg, db = _sample_rgb(detail, detail_area, there, parts, lit)
            r, g, b = r + share * dr, g + share * dg, b + share * db
            _scatter(seen_grad + step, offsets, shares, w * (grad_r * dr + grad_g * dg + grad_b * db), w > 0)
            if DETAIL_GRAD:
                _scatter_rgb(detail_grad, detail_area, there, parts, (grad_r, grad_g, grad_b), w * share, w > 0)
        value = grad_r * r + grad_g * g + grad_b * b + grad_z * (z - mean)
        _scatter_rgb(plane_grad, area, offsets, shares, (grad_r, grad_g, grad_b), w, w > 0)
        grad_sigma = interval * passed * (through * value - behind / factor)
        _scatter(plane_grad + 3 * area, offsets, shares, grad_sigma, lit & (interval > 0))
        behind += w * value
        k -= 1
