"""The plane decoder: one RGB-and-density plane per disparity, from features computed once per image.

The published decoder repeats the image features for every plane, appends the embedded disparity to them and convolves
everything anew. The same numbers come out of far less work, because

- a convolution of a concatenation is a sum of convolutions: the features' part is computed once per image;
- the embedding is constant over a plane, and reflection padding keeps it so: its part is one bias per plane;
- nearest x2 followed by a reflection-padded 3x3 is four 2x2 convolutions of the small image, padded by replication.
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mine.network.architecture import PLANE_WIDTHS
from mine.network.planes.embedding import CHANNELS, embed_disparity
from mine.network.planes.recompute.autograd import Kernel, norm_elu_conv, norm_elu_upsample_conv
from mine.network.planes.subpixel import phase_kernel

SCALES = 4
"""The decoder draws planes at the full resolution and at 1/2, 1/4 and 1/8 of it."""


class Block(nn.Module):
    """3x3 convolution with reflection padding, batch norm, ELU; applied in parts by `PlaneDecoder`."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3)
        self.norm = nn.BatchNorm2d(outputs)

    def kernel(self) -> tuple[Tensor, Tensor]:
        """Weight (C', C, 3, 3) and bias (C',), with batch norm folded in while its statistics are frozen."""
        weight, bias = self.conv.weight, self.conv.bias
        assert bias is not None
        if self.norm.training:
            return weight, bias
        assert self.norm.running_mean is not None and self.norm.running_var is not None
        scale = self.norm.weight * torch.rsqrt(self.norm.running_var + self.norm.eps)
        return weight * scale[:, None, None, None], (bias - self.norm.running_mean) * scale + self.norm.bias


class Blocks(nn.ModuleDict):
    """One block per level."""

    def __getitem__(self, level: int) -> Block:  # type: ignore[override]
        return cast(Block, super().__getitem__(str(level)))


class Bottleneck(nn.Module):
    """Widens the coarsest features' view: down to 1/128 of the image and back (five conv-norm-LeakyReLU steps)."""

    def __init__(self, channels: int, middle: tuple[int, int] = (512, 256)) -> None:
        super().__init__()
        self.down1 = _conv_norm(channels, middle[0], 1)
        self.down2 = _conv_norm(middle[0], middle[1], 3)
        self.up1 = _conv_norm(middle[1], middle[1], 3)
        self.up2 = _conv_norm(middle[1], channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H/32, W/32) to the same shape; away from multiples of 128, "x2" means back to the size before."""
        half = self.down1(F.max_pool2d(x, 3, 2, 1))
        quarter = self.down2(F.max_pool2d(half, 3, 2, 1))
        up = self.up1(F.interpolate(quarter, half.shape[-2:]))
        return self.up2(F.interpolate(up, x.shape[-2:]))


class PlaneDecoder(nn.Module):
    """Planes at any disparities from five feature maps (section 3.1).

    features: channels of the encoder's maps, finest first. widths: channels of the levels, finest first.
    """

    def __init__(
        self, features: list[int], widths: tuple[int, ...] = PLANE_WIDTHS, bottleneck: tuple[int, int] = (512, 256)
    ) -> None:
        super().__init__()
        self.coarsest = len(widths) - 1
        self.bottleneck = Bottleneck(features[-1], bottleneck)
        skips = [0, *features[:-1]]
        below = [*widths[1:], features[-1] + CHANNELS]
        levels = range(len(widths))
        self.before = Blocks({str(level): Block(below[level], widths[level]) for level in levels})
        self.after = Blocks(
            {
                str(level): Block(widths[level] + (skips[level] + CHANNELS if level else 0), widths[level])
                for level in levels
            }
        )
        self.heads = nn.ModuleDict({str(level): nn.Conv2d(widths[level], 4, 3) for level in range(SCALES)})

    def forward(
        self,
        features: list[Tensor],
        disparity: Tensor,
        finest: int = 0,
        group: int | None = None,
    ) -> list[Tensor]:
        """Planes [(B, S, 4, H/2^s, W/2^s) for s in finest..3], RGB in [0, 1] and σ ≥ 0.

        features: the encoder's five maps; disparity (B, S). group: planes decoded at a time (all, by default); smaller
        groups bound the memory, and change nothing else while batch norm is frozen.
        """
        shared = self.shared(features)
        groups = disparity.split(group or disparity.shape[1], dim=1)
        decoded = [self._decode(shared, part, finest) for part in groups]
        return [torch.cat(planes, dim=1) if len(planes) > 1 else planes[0] for planes in zip(*decoded, strict=True)]

    def head(self, level: int) -> nn.Conv2d:
        """The convolution that draws the planes of a level."""
        return cast(nn.Conv2d, self.heads[str(level)])

    def shared(self, features: list[Tensor]) -> list[Tensor]:
        """What does not depend on the plane: the features' share of every convolution, coarsest first."""
        shared = [reflected_conv(self.bottleneck(features[-1]), *feature_part(self.before[self.coarsest], 0))]
        for level in range(self.coarsest, 0, -1):
            block = self.after[level]
            shared.append(reflected_conv(features[level - 1], *feature_part(block, block.conv.out_channels)))
        return shared

    def _decode(self, shared: list[Tensor], disparity: Tensor, finest: int) -> list[Tensor]:
        embedding = embed_disparity(disparity)
        first = self.before[self.coarsest]
        z = _spread(shared[0], embedding, first)
        drawn: list[Tensor] = []
        for level in range(self.coarsest, finest - 1, -1):
            z = self._upsample(level, z, shared[self.coarsest + 1 - level] if level else None, embedding)
            kernels: list[Kernel] = [self.before[level - 1].kernel()] if level > finest else []
            if level < SCALES:
                head = self.head(level)
                kernels.append((head.weight, head.bias))
            outs = norm_elu_conv(z, self.after[level].norm, _stored(kernels, z.dtype))
            z = outs[0]
            if level < SCALES:
                drawn.append(outs[-1])
        return [_field(out.float().unflatten(0, disparity.shape)) for out in reversed(drawn)]

    def _upsample(self, level: int, z: Tensor, shared: Tensor | None, embedding: Tensor) -> Tensor:
        """Nearest x2, then the convolution of the level's second block on [z, skip features, embedding]."""
        block, norm = self.after[level], self.before[level].norm
        weight, bias = block.kernel()
        phases = phase_kernel(weight[:, : block.conv.out_channels])
        if shared is None:
            (kernel,) = _stored([(phases, bias.repeat(4))], z.dtype)
            return norm_elu_upsample_conv(z, norm, kernel)
        own = torch.einsum("bse,ce->bsc", embedding, weight[:, -CHANNELS:].sum((2, 3)))
        (kernel,) = _stored([(phases, None)], z.dtype)
        return norm_elu_upsample_conv(z, norm, kernel, shared.to(z.dtype), own.flatten(0, 1).to(z.dtype))


def _field(out: Tensor) -> Tensor:
    """The heads' outputs (B, S, 4, H, W) as colours in [0, 1] and density σ = |x| + 1e-4."""
    return torch.cat([torch.sigmoid(out[:, :, :3]), out[:, :, 3:].abs() + 1e-4], dim=2)


def reflected_conv(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """3x3 convolution with reflection padding: x (N, C, H, W) to (N, C', H, W)."""
    return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), weight, bias)


def feature_part(block: Block, start: int) -> tuple[Tensor, Tensor]:
    """Kernel of the image features, between `start` leading channels and the trailing embedding; with the bias."""
    weight, bias = block.kernel()
    return weight[:, start:-CHANNELS], bias


def _spread(shared: Tensor, embedding: Tensor, block: Block) -> Tensor:
    """Shared part (B, C, H, W) plus each plane's own bias from its embedding (B, S, 21): (B*S, C, H, W)."""
    weight, _ = block.kernel()
    bias = torch.einsum("bse,ce->bsc", embedding, weight[:, -CHANNELS:].sum((2, 3)))
    return (shared[:, None] + bias[..., None, None]).flatten(0, 1)


def _conv_norm(inputs: int, outputs: int, size: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=False), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.1)
    )


def _stored(kernels: list[Kernel], dtype: torch.dtype) -> list[Kernel]:
    return [(weight.to(dtype), None if bias is None else bias.to(dtype)) for weight, bias in kernels]
