"""Two layers of a photo's surface at the photo's own resolution, from a disparity map at the network's.

A disparity map of 384x256 pixels shows silhouettes as stairs of five pixels at 1920x1280. Around its discontinuities
the photo tells where the silhouette is:

1. `_two_sides` takes the disparities of the nearer and of the farther surface within `SIDE_RADIUS` pixels of the map,
   and which of the two each pixel shows.
2. `_segment` moves the border between the two to the photo's edge: two guided filters (He et al. 2013, "Guided Image
   Filtering", section 4.4, matting), from the map's resolution to the photo's.
3. `_unmix` solves I = α F + (1 - α) B for the pixels of the photo that mix both sides (Levin et al. 2008, "A
   Closed-Form Solution to Natural Image Matting", eq. 1). B is the mean colour of the pure pixels around. At sharp
   silhouettes so is F, and α is solved for; at hair and out of focus α is that of the guided filters, and F is.

What lies farther behind is inpainted at half the map's resolution (`mine.scene.inpaint`).
"""

from itertools import product

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from mine.render import Layers
from mine.scene.inpaint import DISCONTINUITY, REACH, is_behind, least_discontinuity, neighbours_at, propagate_background
from mine.scene.mirror import mirrored_colour
from mine.scene.plane_surfaces import Surfaces

SIDE_RADIUS = 3
"""Pixels of the disparity map from its discontinuity within which the photo's edge is looked for."""

GUIDED_EPSILON = 3e-3
"""Variance of colours in [0, 1]³ below which the guided filters smooth."""

MIXED_RADIUS = 1
"""Pixels from the silhouette within which the photo mixes both sides."""

PURE_RADIUS = 3
"""Pixels from the silhouette from which on neither lens nor sharpening show the other side."""

SOFT_RADIUS = 9
"""Pixels from the silhouette within which hair, and what is out of focus, may show both sides."""

SHARES = (0.15, 0.85)
"""Shares by the guided filters, which are noisy, up to which the foreground counts as absent, and from which on it is
opaque."""

SOLVED_SHARES = (0.15, 0.5)
"""Shares α below which F = (I - (1 - α) B) / α is not solved, for it would be noise, and from which on it is."""

SOFT_CONTRAST = (0.3, 0.6)
"""As `CONTRAST`, where α is not measured: from there on, what F leaves in the background is subtracted."""

COLOUR_RADIUS = 9
"""Pixels from the centre of the window of the mean colours F and B to its sides."""

LEAST_PURE = 2
"""Pixels, by their weights, from which on their mean is a colour of F or B. Of fewer, a speck far away would colour a
border that the depth has and the photo has not."""

CONTRAST = (1.0, 2.0)
"""Distances of F and B in colour, over what colours around them vary, below which α is not measured, and from which on
it is measured alone."""

SHARP_RADIUS = 2
"""Pixels from a pixel within which a sharp silhouette changes from F to B."""

SHARPNESS = (0.5, 0.8)
"""Shares of that change within `SHARP_RADIUS` below which a silhouette is out of focus and left as it is, and from
which on it counts as sharp."""

EVEN = (0.03, 0.08)
"""Standard deviations of colours in [0, 1]³ up to which a background is even, and from which on it has a texture."""

LEAST_VARIATION = 0.05
"""Added to the variation of colours in [0, 1]³: what photos' noise is."""

OPACITIES = (0.05, 0.95)
"""Shares α below which the foreground counts as absent, and above which it counts as opaque."""

SLOPE = 1.08
"""Largest ratio of the disparities of neighbouring pixels on a slope, below `DISCONTINUITY`."""

SLOPE_WIDTH = 16
"""Pixels of the widest slope that replaces a step."""

LARGEST_CRACK = 2
"""Ratio of disparities from which on a step stays as it is, whatever is behind it."""

SEAM = 3
"""Pixels of the disparity map from its discontinuity within which the background is propagated, though it is known."""

UNMIXED_AT_ONCE = 1 << 15
"""Pixels that `_unmix` treats at a time: bounds its memory."""


def find_layers(surfaces: Surfaces, image: Float[Tensor, "3 H W"]) -> Layers:
    """Refines the silhouettes of a surface by a photo of higher resolution.

    Args:
        surfaces: The visible surface (h, w), and its background where that is known; elsewhere it is propagated.
        image: RGB in [0, 1], on the CPU.

    Returns:
        The layers, at the size of the image.
    """
    size = image.shape[-2:]
    disparity_map = surfaces.disparity.cpu()
    near, far, is_near, at_edge = _two_sides(disparity_map[None])
    beyond = F.interpolate(_nearer_around(disparity_map[None], near, far, at_edge), size, mode="nearest")[0, 0] > 0
    near, far, smooth = (F.interpolate(x, size, mode="bilinear") for x in (near, far, disparity_map[None]))
    edge = F.interpolate(at_edge.float(), size, mode="nearest") > 0
    share = _ramp(_segment(is_near, at_edge, image[None])[0, 0], SHARES)
    nearer = torch.where(edge[0, 0], _majority(share > 0.5), beyond)
    foreground = (nearer & edge[0, 0])[None, None]
    disparity = torch.where(edge, torch.where(foreground, near, far), smooth)[0]
    background, colour = _inpaint(disparity, image, (disparity_map.shape[-2], disparity_map.shape[-1]))
    if surfaces.background is not None:
        background, colour = _inside(
            surfaces.background.cpu(), disparity_map, torch.cat([background, colour]), disparity
        )
    opacity, rgb = torch.ones_like(disparity), image.clone()
    pixels, alpha, front, back = _unmix(image, share, nearer, edge[0, 0])
    shown = alpha > 0
    y, x = pixels.unbind(1)
    rgb[:, y, x] = torch.where(shown[:, None], front, back).T
    opacity[0, y, x] = torch.where(shown, alpha, 1)
    disparity[0, y, x] = torch.where(shown, near[0, 0, y, x], far[0, 0, y, x])
    mixed = shown & (alpha < 1)
    y, x = y[mixed], x[mixed]
    background[0, y, x], colour[:, y, x] = far[0, 0, y, x], back[mixed].T
    background = background * (is_behind(background, disparity) | (opacity < 1))
    disparity[0], pixels = _close_steps(disparity[0], background[0])
    y, x = pixels.unbind(1)
    opacity[0, y, x], rgb[:, y, x] = 1, image[:, y, x]
    hidden = is_behind(background, disparity) | (opacity < 1)
    return Layers(disparity, opacity, rgb, background * hidden, colour)


def _close_steps(disparity: Tensor, background: Tensor) -> tuple[Tensor, Tensor]:
    """Makes slopes of the steps of a surface through which something farther than their lower side would show.

    Where three surfaces meet, the background is that of the largest step, and the smaller ones would be cracks. From
    their lower sides on, disparities rise by at most `SLOPE` a pixel.

    Args:
        disparity: (H, W) of the visible surface.
        background: (H, W) of the surface behind it.

    Returns:
        The surface's disparities (H, W), and rows and columns (N, 2) of those that changed.
    """
    closed, (height, width) = disparity.clone(), disparity.shape
    offsets = torch.tensor([*product((-1, 0, 1), repeat=2)])
    for _ in range(SLOPE_WIDTH):
        y, x = (closed > -DISCONTINUITY * largest_within(-closed, 1)).nonzero().unbind(1)
        rows = (y[:, None] + offsets[:, 0]).clamp(0, height - 1)
        columns = (x[:, None] + offsets[:, 1]).clamp(0, width - 1)
        around, own, behind = closed[rows, columns], closed[y, x, None], background[y, x, None]
        is_crack = (own > DISCONTINUITY * around) & (own < LARGEST_CRACK * around) & (DISCONTINUITY * behind < around)
        if not is_crack.any():
            break
        closed[y, x] = torch.where(is_crack, SLOPE * around, own).amin(1)
    return closed, (closed < disparity).nonzero()


def _two_sides(disparity_map: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The surfaces on both sides of each discontinuity of a map (1, 1, h, w), four maps of its size.

    Returns:
        The mean disparity of the pixels of the window that are nearer, and of those that are farther, than the window's
        middle, or the map itself without a discontinuity; whether the pixel itself is nearer; and whether the window
        has a discontinuity.
    """
    window = 2 * SIDE_RADIUS + 1
    nearest, farthest = largest_within(disparity_map, SIDE_RADIUS), -largest_within(-disparity_map, SIDE_RADIUS)
    middle = (nearest * farthest).sqrt()
    steps = range(-SIDE_RADIUS, SIDE_RADIUS + 1)
    near, far, count = (torch.zeros_like(disparity_map) for _ in range(3))
    for neighbour in neighbours_at(disparity_map, product(steps, steps)):
        nearer = neighbour > middle
        near += neighbour * nearer
        far += neighbour * ~nearer
        count += nearer
    at_edge = nearest > least_discontinuity(disparity_map) * farthest
    near = torch.where(at_edge, near / count.clamp(min=1), disparity_map)
    far = torch.where(at_edge, far / (window**2 - count).clamp(min=1), disparity_map)
    return near, far, disparity_map > middle, at_edge


def _nearer_around(disparity_map: Tensor, near: Tensor, far: Tensor, at_edge: Tensor) -> Tensor:
    """Whether pixels of a map (1, 1, h, w) around its discontinuities are on the nearer side: 1 or 0, 0 elsewhere.

    Arguments as `_two_sides` returns them. Where a pixel is beside several discontinuities, their mean decides.
    """
    weight, middle = at_edge.float(), (near * far).sqrt()
    around = _box(middle, weight, 2 * SIDE_RADIUS)
    return ((around > 0) & (disparity_map > around)).float()


def _segment(is_near: Bool[Tensor, "1 1 h w"], valid: Bool[Tensor, "1 1 h w"], image: Tensor) -> Tensor:
    """Share (1, 1, H, W) of the nearer side in pixels of an image (1, 3, H, W), given `is_near` where it is `valid`."""
    size = image.shape[-2:]
    mask, weight = is_near.float(), valid.float()
    for factor, radius in ((1, 3), (3, 3)):
        at = [min(side, factor * coarse) for side, coarse in zip(size, is_near.shape[-2:], strict=True)]
        guide = F.interpolate(image, at, mode="bilinear", antialias=True)
        usable = F.interpolate(weight, at, mode="nearest")
        mode = "bilinear" if mask.shape[-1] <= at[1] else "area"
        slope, offset = _guided_filter(guide, F.interpolate(mask, at, mode=mode), usable, radius)
        slope, offset = (F.interpolate(x, size, mode="bilinear") for x in (slope, offset))
        share = (slope * image).sum(1, keepdim=True) + offset
        mask = (share > 0.5).float()
    return share


def _majority(mask: Tensor) -> Tensor:
    """A mask (H, W) without single pixels: what most of each 3x3 window is."""
    return _window_sum(mask.float(), 1) > 4.5


def _guided_filter(guide: Tensor, mask: Tensor, weight: Tensor, radius: int) -> tuple[Tensor, Tensor]:
    """Weighted guided filter of a mask (1, 1, H, W) by colours (1, 3, H, W): slope (1, 3, H, W), offset (1, 1, H, W).

    He et al. 2013, eq. 19 to 21, with means over the pixels of each window in proportion to `weight` (1, 1, H, W).
    """
    pairs = [(c, d) for c in range(3) for d in range(c, 3)]
    products = torch.cat([guide[:, c : c + 1] * guide[:, d : d + 1] for c, d in pairs], dim=1)
    means = _box(torch.cat([guide, mask, guide * mask, products], dim=1), weight, radius)
    mean, mean_mask, covariance = means[:, :3], means[:, 3:4], means[:, 4:7] - means[:, :3] * means[:, 3:4]
    variance = guide.new_empty(*guide.shape[-2:], 3, 3)
    for i, (c, d) in enumerate(pairs):
        variance[..., c, d] = variance[..., d, c] = means[0, 7 + i] - mean[0, c] * mean[0, d]
    variance += GUIDED_EPSILON * torch.eye(3, dtype=guide.dtype)
    slope = torch.linalg.solve(variance, covariance[0].movedim(0, -1)[..., None])[..., 0].movedim(-1, 0)[None]
    offset = mean_mask - (slope * mean).sum(1, keepdim=True)
    smoothed = _box(torch.cat([slope, offset], dim=1), weight, radius)
    return smoothed[:, :3], smoothed[:, 3:]


def _box(x: Tensor, weight: Tensor, radius: int) -> Tensor:
    """Means of x (1, C, H, W) over windows, weighted by `weight` (1, 1, H, W); 0 in windows without weight."""
    means = torch.empty_like(x)
    total = _window_sum(weight[0, 0], radius).clamp(min=1e-6)
    for c in range(x.shape[1]):
        torch.div(_window_sum(x[0, c] * weight[0, 0], radius), total, out=means[0, c])
    return means


def _window_sum(x: Tensor, radius: int) -> Tensor:
    """Sums of x (H, W) over windows; OpenCV's take a tenth of the time of torch's."""
    side = 2 * radius + 1
    return torch.from_numpy(cv2.boxFilter(x.numpy(), -1, (side, side), normalize=False, borderType=cv2.BORDER_CONSTANT))


def _unmix(
    image: Float[Tensor, "3 H W"],
    share: Float[Tensor, "H W"],
    foreground: Bool[Tensor, "H W"],
    edge: Bool[Tensor, "H W"],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Separates the two sides in the pixels near a silhouette that may show both.

    These are within `PURE_RADIUS`, and as far as `SOFT_RADIUS` where `_segment` found a share of each side.

    Returns:
        Rows and columns (N, 2) of these pixels, the share α (N,) of the foreground, and both colours F, B (N, 3).
    """
    mixed = _grow(foreground, MIXED_RADIUS) & _grow(~foreground, MIXED_RADIUS)
    close, near = (_grow(foreground, r) & _grow(~foreground, r) for r in (PURE_RADIUS, SOFT_RADIUS))
    soft = (share > OPACITIES[0]) & (share < OPACITIES[1])
    zone = edge & (close | (near & _grow(soft, 1)))
    pure = torch.stack([foreground & ~zone, ~foreground & edge & ~zone]).float()
    sides = torch.stack([foreground.float(), mixed.float(), share])
    pixels = zone.nonzero()
    around = (x.split(UNMIXED_AT_ONCE, dim=1) for x in _pure_colours(image, pure, pixels))
    parts = [_unmix_pixels(image, sides, *part) for part in zip(pixels.split(UNMIXED_AT_ONCE), *around, strict=True)]
    alpha, front, back = (torch.cat(x) for x in zip(*parts, strict=True))
    return pixels, alpha, front, back


def _pure_colours(image: Tensor, pure: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What the pixels of the masks `pure` (2, H, W) show around `pixels` (N, 2), in windows of `COLOUR_RADIUS`.

    Pixels count by a Gaussian of their distance. It is separable: OpenCV filters the whole image in less time than it
    takes to gather the windows of those along its silhouettes.

    Returns:
        The sums (2, N) of their weights, their mean colours (2, N, 3), and the standard deviations (2, N) of these.
    """
    y, x = pixels.unbind(1)
    steps = np.arange(-COLOUR_RADIUS, COLOUR_RADIUS + 1, dtype=np.float32)
    gaussian = np.exp(-(steps**2) / (0.5 * COLOUR_RADIUS**2))

    def around(values: Tensor) -> Tensor:
        filtered = cv2.sepFilter2D(values.numpy(), -1, gaussian, gaussian, borderType=cv2.BORDER_REPLICATE)
        return torch.from_numpy(filtered)[y, x]

    total = torch.stack([around(mask) for mask in pure])
    divisor = total.clamp(min=1e-6)
    means = torch.stack([torch.stack([around(mask * channel) for channel in image], -1) for mask in pure])
    means /= divisor[..., None]
    squares = torch.stack([around(mask * image.square().sum(0)) for mask in pure]) / divisor
    return total, means, (squares - means.square().sum(-1)).clamp(min=0).sqrt()


def _unmix_pixels(
    image: Tensor, sides: Tensor, pixels: Tensor, total: Tensor, means: Tensor, deviation: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """α (N,), F and B (N, 3) of `pixels` (N, 2), given what `_pure_colours` returns of these.

    `sides` (3, H, W) has what is foreground, what may mix both at a sharp silhouette, and the share of the foreground
    at hair and out of focus. What F leaves in pixels of the background is subtracted: the photo's blur, and the halo of
    its sharpening.
    """
    y, x = pixels.unbind(1)
    step = torch.arange(-SHARP_RADIUS, SHARP_RADIUS + 1)
    dy, dx = (d.flatten() for d in torch.meshgrid(step, step, indexing="ij"))
    rows, columns = (y[:, None] + dy).clamp(0, image.shape[1] - 1), (x[:, None] + dx).clamp(0, image.shape[2] - 1)
    colour, (inside, mixed, share) = image[:, y, x].T, sides[:, y, x]
    difference = means[0] - means[1]
    distance = difference.square().sum(1).sqrt()
    variation = deviation.sum(0) + LEAST_VARIATION
    close = image[:, rows, columns]
    across = torch.einsum("cnw,nc->nw", close, difference / distance.square().clamp(min=1e-6)[:, None])
    sharpness = across.amax(1) - across.amin(1)
    known = (total >= LEAST_PURE).all(0)
    trust = _ramp(distance / variation, CONTRAST) * _ramp(sharpness, SHARPNESS) * known
    measured = ((colour - means[1]) * difference).sum(1) / distance.square().clamp(min=1e-6)
    soft = torch.where(known, share, inside)
    alpha = (trust * torch.where(mixed > 0, measured, inside) + (1 - trust) * soft).clamp(0, 1)
    alpha = torch.where(alpha < OPACITIES[0], 0, torch.where(alpha > OPACITIES[1], 1, alpha))
    pull = (trust * (alpha > 0) * (alpha < 1))[:, None]
    # Without trust in F, it is what B leaves of the pixel's colour: together, both show the photo.
    rest = ((colour - (1 - alpha[:, None]) * means[1]) / alpha[:, None].clamp(min=SOLVED_SHARES[0])).clamp(0, 1)
    pull = torch.where(known[:, None], torch.maximum(pull, 1 - _ramp(alpha, SOLVED_SHARES)[:, None]), pull)
    front = pull * means[0] + (1 - pull) * torch.where(alpha[:, None] < 1, rest, colour)
    seen = torch.maximum(trust, _ramp(distance / variation, SOFT_CONTRAST) * known)
    left = (seen * measured * (alpha < 1)).clamp(-0.5, 1)[:, None]
    even = 1 - _ramp(deviation[1], EVEN)  # skies: whatever halo the photo's sharpening left there
    mixes = (torch.where(alpha > 0, 1, even) * (alpha < 1) * known)[:, None]
    back = mixes * means[1] + (1 - mixes) * (colour - left * difference)
    return alpha, front, back.clamp(0, 1)


def _ramp(x: Tensor, ends: tuple[float, float]) -> Tensor:
    """0 up to the first end, 1 from the second one on, linear between."""
    return ((x - ends[0]) / (ends[1] - ends[0])).clamp(0, 1)


def _grow(mask: Tensor, radius: int) -> Tensor:
    """A mask (H, W) dilated by a square of 2 `radius` + 1 pixels."""
    return largest_within(mask.byte(), radius) > 0


def largest_within(x: Tensor, radius: int) -> Tensor:
    """Largest value of x (..., H, W), on the CPU, within `radius` rows and columns of each pixel."""
    square = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    images = x.reshape(-1, *x.shape[-2:]).numpy()
    return torch.from_numpy(np.stack([cv2.dilate(image, square) for image in images])).view(x.shape)


def _inpaint(disparity: Tensor, image: Tensor, map_size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Background disparity (1, H, W) and colour (3, H, W) behind a surface, found at half of `map_size` (h, w)."""
    half = (max(1, map_size[0] // 2), max(1, map_size[1] // 2))
    nearest = F.adaptive_max_pool2d(disparity[None], half)
    found = propagate_background(nearest, F.interpolate(image[None], half, mode="area"), REACH)
    background = F.interpolate(found.disparity, disparity.shape[-2:], mode="bilinear")[0]
    return torch.minimum(background, disparity), mirrored_colour(found, nearest, image[None])[0]


def _inside(known: Tensor, disparity_map: Tensor, propagated: Tensor, disparity: Tensor) -> tuple[Tensor, Tensor]:
    """A known background (4, h, w), and the propagated one (4, H, W) along silhouettes.

    There, the photo's silhouettes and those of the disparity map (1, h, w), which the background is for, differ.
    """
    hidden = is_behind(known[:1], disparity_map).float()[None]
    share = 1 - F.max_pool2d(1 - hidden, 2 * SEAM + 1, 1, SEAM)
    size = disparity.shape[-2:]
    share, fine = (F.interpolate(x, size, mode="bilinear")[0] for x in (share, known[None]))
    mixed = propagated + share * (fine - propagated)
    return torch.minimum(mixed[:1], disparity), mixed[1:]
