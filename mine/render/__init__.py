"""Differentiable rendering of multiplane images: one function, several backends that agree.

`reference` is the renderer to read; `cpu` and `triton` return what it returns.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from mine.render.backends import BACKENDS, Backend, Call, find_blend_source, use_backend
from mine.render.layers import Layers
from mine.render.prepared import Prepared, expand_parts
from mine.render.strips import StripPlanes
from mine.render.view import View

__all__ = [
    "BACKENDS",
    "Backend",
    "Layers",
    "Prepared",
    "StripPlanes",
    "View",
    "blend_source",
    "interleave_detail",
    "join",
    "lift_layers",
    "lift_layers_in_strips",
    "prepare",
    "render",
    "use_backend",
]


def render(
    planes: Float[Tensor, "#B S 4 H W"],
    disparity: Float[Tensor, "#B S"],
    K_src: Float[Tensor, "#B 3 3"],
    K_tgt: Float[Tensor, "#B 3 3"],
    T_tgt_src: Float[Tensor, "#B 4 4"],
    size: tuple[int, int],
    detail: Float[Tensor, "#B 3 Hp Wp"] | None = None,
    backend: Backend = "auto",
    photo_reach: Float[Tensor, "#B 1 H W"] | None = None,
) -> View:
    """Renders planes from other cameras (Li et al. 2021, section 3.2 and 3.3).

    Leading dimensions are B or 1: one scene broadcasts over many poses, and many scenes over one pose.

    Args:
        planes: RGB in [0, 1] and density σ ≥ 0 per scene unit, near to far; "cpu" reads planes in
            place if `join` laid them out, and copies others.
        disparity: 1 / depth of the planes in the source camera, strictly descending.
        K_src: Source intrinsics in pixels of the planes.
        K_tgt: Target intrinsics in pixels of the target.
        T_tgt_src: Target-from-source poses in OpenCV's axes, translation in scene units.
        size: (H', W') of the target.
        detail: Photo minus its upsampled low-resolution form; added to each plane in proportion to the
            source transmittance, so that a view is as sharp as the photo.
        backend: "reference" (torch: any device, gradients of all inputs), "cpu" (compiled: gradients of planes rendered
            without detail), "triton" (GPU: gradients of planes and detail), or "auto", the first in `BACKENDS` that
            supports device, type and the gradients that autograd records. "cpu" and "triton" take upper triangular
            intrinsics and compute in float32.
        photo_reach: Disparity down to which planes show the photo at each of their pixels. Where it is given, detail is
            added to these planes alone, and no source transmittance of each plane is computed and kept.

    Returns:
        rgb (B, 3, H', W'), depth (B, 1, H', W') and mask (B, 1, H', W').

    Raises:
        InputError: The backend named does not run here or lacks the gradients, or the shapes do not fit together.
    """
    return prepare(planes, disparity, K_src, detail, photo_reach).render(K_tgt, T_tgt_src, size, backend)


def prepare(
    planes: Float[Tensor, "#B S 4 H W"] | StripPlanes,
    disparity: Float[Tensor, "#B S"],
    K_src: Float[Tensor, "#B 3 3"],
    detail: Float[Tensor, "#B _ Hp Wp"] | None = None,
    photo_reach: Float[Tensor, "#B 1 H W"] | None = None,
) -> Prepared:
    """A scene to render many times: `prepare(...).render(K_tgt, T_tgt_src, size)`; see `render`.

    Detail may be that of `interleave_detail`. Planes may be those of one scene in strips, with `photo_reach` where
    there is detail.
    """
    return Prepared(planes, disparity, K_src, detail, photo_reach)


def join(rgb: Float[Tensor, "*batch 3 H W"], sigma: Float[Tensor, "*batch 1 H W"]) -> Float[Tensor, "*batch 4 H W"]:
    """Joins colours and densities in planes, laid out as the renderer of their device reads them.

    On CPUs the four channels of a pixel lie side by side in memory, in float32; tensors that require gradients, and
    those on other devices, are concatenated.

    Args:
        rgb: Colours in [0, 1].
        sigma: Densities per scene unit.

    Returns:
        Planes, a new tensor.
    """
    if rgb.device.type != "cpu" or rgb.requires_grad or sigma.requires_grad:
        return torch.cat([rgb, sigma], dim=-3)
    from mine.render.cpu.render import interleave_channels  # imported on use: numba takes seconds to start

    return interleave_channels(rgb, sigma)


def interleave_detail(detail: Float[Tensor, "B 3 Hp Wp"]) -> Float[Tensor, "B c Hp Wp"]:
    """Lays a photo's detail out as the renderer of its device reads it, so that `prepare` makes no copy of it.

    Args:
        detail: See `render`; floats of any size.

    Returns:
        On CPUs float32, with a fourth channel of 0; on other devices what was given.
    """
    if detail.device.type != "cpu":
        return detail
    from mine.render.cpu.render import interleave_channels  # imported on use: numba takes seconds to start

    return interleave_channels(detail)


def blend_source(
    planes: Float[Tensor, "#B S 4 H W"],
    disparity: Float[Tensor, "#B S"],
    K_src: Float[Tensor, "#B 3 3"],
    image: Float[Tensor, "#B 3 H W"],
) -> Float[Tensor, "B S 4 H W"]:
    """Takes the planes' colours from the source image where the source camera sees them (section 3.3).

    c_k ← T_k^src · I_src + (1 - T_k^src) · c_k with the source transmittance T_k^src. Where no gradient is recorded,
    planes may be overwritten: use what is returned. Leading dimensions are B or 1.

    Args:
        planes: RGB and density.
        disparity: 1 / depth of the planes.
        K_src: Source intrinsics in pixels of the planes.
        image: Source image at the planes' size.

    Returns:
        Blended planes.

    Raises:
        InputError: The shapes do not fit together.
    """
    implementation = find_blend_source(Call.describe(planes, image, disparity, K_src, detail=False))
    assert implementation.blend_source is not None
    parts = {"planes": planes, "disparity": disparity, "K_src": K_src, "image": image}
    parts = expand_parts(parts, planes.shape[1], (planes.shape[-2], planes.shape[-1]))
    blended: Tensor = getattr(implementation.load(), implementation.blend_source)(*parts.values())
    return blended.to(planes.device)


def lift_layers(layers: Layers, disparity: Tensor, shell: Tensor) -> tuple[Tensor, Tensor]:
    """Lifts two layers of a surface to planes, whose memory grows with the surface, not with the number of planes.

    Opacities are those of `mine.network.disparity.lift`, times the layers'. Planes have density only as far behind a
    layer as its slope requires, and the last plane is opaque everywhere.

    Args:
        layers: The visible surface and what lies behind it.
        disparity: (S,) disparities of the planes, strictly descending.
        shell: (1, H, W) disparities whose least one in the 3x3 window of a pixel is the back of the visible surface:
            its planes reach that far.

    Returns:
        (S, 4, H, W) planes on the CPU, float32, laid out as its renderer reads them; and (1, H, W) disparities down to
        which they show the visible surface, see `photo_reach` of `render`.
    """
    from mine.render.cpu.layers import lift_layers as lift  # imported on use: numba takes seconds to start

    return lift(layers, disparity, shell)


def lift_layers_in_strips(layers: Layers, disparity: Tensor, shell: Tensor) -> tuple[StripPlanes, Tensor]:
    """`lift_layers` for planes that are large and stay on the CPU: in strips, they take less memory."""
    from mine.render.cpu.layers import lift_layers_in_strips as lift  # imported on use: numba takes seconds to start

    return lift(layers, disparity, shell)
