"""The decoder of MINE (Li et al. 2021, section 3.1): a plane of RGB and density for each disparity.

The published decoder repeats the image's features for every plane, appends the embedded disparity and convolves all of
it (`mine.network.planes.reference`). `PlaneDecoder` computes the same function with fewer operations:

- A convolution of a concatenation is a sum of convolutions: the features' term is computed once per image.
- The embedding is constant over a plane, and so is its reflection padding: its term is one bias per plane.
- Nearest x2 and a reflection-padded 3x3 convolution are four 2x2 convolutions of the small map, padded by replication
  (`mine.network.planes.subpixel`).
"""

from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mine.network.architecture import PLANE_WIDTHS, SCALES
from mine.network.planes.embedding import CHANNELS, embed_disparity
from mine.network.planes.recompute.autograd import Kernel, norm_elu_conv, norm_elu_upsample_conv
from mine.network.planes.subpixel import phase_kernel


class Block(nn.Module):
    """3x3 convolution with reflection padding, batch norm and ELU; `PlaneDecoder` applies its operators separately.

    Args:
        inputs: Channels C of its input.
        outputs: Channels C' of its output.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3)
        self.norm = nn.BatchNorm2d(outputs)

    def kernel(self) -> tuple[Float[Tensor, "C_out C 3 3"], Float[Tensor, " C_out"]]:
        """Weight and bias of the convolution, with batch norm folded in while that is in evaluation mode."""
        weight, bias = self.conv.weight, self.conv.bias
        assert bias is not None
        if self.norm.training:
            return weight, bias
        assert self.norm.running_mean is not None and self.norm.running_var is not None
        scale = self.norm.weight * torch.rsqrt(self.norm.running_var + self.norm.eps)
        return weight * scale[:, None, None, None], (bias - self.norm.running_mean) * scale + self.norm.bias


class Blocks(nn.ModuleDict):
    """One block per level, by the number of the level; level 0 is the finest."""

    def __getitem__(self, level: int) -> Block:  # type: ignore[override]
        return cast(Block, super().__getitem__(str(level)))


class Bottleneck(nn.Module):
    """Enlarges the receptive field of the coarsest features: down to 1/128 of the image and back.

    Args:
        channels: Of its input and output.
        middle: Channels at 1/64 and at 1/128 of the image.
    """

    def __init__(self, channels: int, middle: tuple[int, int] = (512, 256)) -> None:
        super().__init__()
        self.down1 = _conv_norm(channels, middle[0], 1)
        self.down2 = _conv_norm(middle[0], middle[1], 3)
        self.up1 = _conv_norm(middle[1], middle[1], 3)
        self.up2 = _conv_norm(middle[1], channels, 1)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Maps features at 1/32 of the image to the same shape.

        Args:
            x: Features. Where a side is no multiple of 4, upsampling restores the size before pooling instead of
                doubling the side.

        Returns:
            Features of the same shape.
        """
        half = self.down1(F.max_pool2d(x, 3, 2, 1))
        quarter = self.down2(F.max_pool2d(half, 3, 2, 1))
        up = self.up1(F.interpolate(quarter, half.shape[-2:]))
        return self.up2(F.interpolate(up, x.shape[-2:]))


class PlaneDecoder(nn.Module):
    """Planes at any disparities from five feature maps of an image.

    From the bottleneck's output and the embedding, at 1/32 of the image, level l = 4, ..., 0 computes

        x = after_l([nearest_x2(before_l(x)), features at 1/2^l, embedding]),

    at level 0 without features and embedding, and the planes of scale l are head_l(x) for l < `SCALES`.

    Args:
        features: Channels of the encoder's maps, finest first.
        widths: Channels of the levels, finest first.
        bottleneck: Channels of the bottleneck at 1/64 and at 1/128 of the image.
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
        features: list[Float[Tensor, "B _ _ _"]],
        disparity: Float[Tensor, "B S"],
        finest: int = 0,
        group: int | None = None,
    ) -> list[Float[Tensor, "B S 4 _ _"]]:
        """Decodes planes at up to four scales.

        Args:
            features: The encoder's five maps, at 1/2 to 1/32 of the image.
            disparity: Disparities of the planes, any values in any order.
            finest: Finest scale that is decoded; 0 is the full resolution.
            group: Planes decoded at a time, all by default. Smaller groups bound the memory, and change nothing else
                while batch norm is frozen.

        Returns:
            Planes (B, S, 4, H/2^s, W/2^s) for s = finest, ..., 3; RGB in [0, 1], then density σ ≥ 0.
        """
        shared = self.shared(features)
        groups = disparity.split(group or disparity.shape[1], dim=1)
        decoded = [self._decode(shared, part, finest) for part in groups]
        return [torch.cat(planes, dim=1) if len(planes) > 1 else planes[0] for planes in zip(*decoded, strict=True)]

    def head(self, level: int) -> nn.Conv2d:
        """The convolution from a level's features to the four channels of its planes."""
        return cast(nn.Conv2d, self.heads[str(level)])

    def shared(self, features: list[Float[Tensor, "B _ _ _"]]) -> list[Float[Tensor, "B _ _ _"]]:
        """Computes what all planes of an image have in common.

        Args:
            features: The encoder's five maps, finest first.

        Returns:
            The features' term of each convolution that has one, with its bias, coarsest first.
        """
        shared = [reflected_conv(self.bottleneck(features[-1]), *feature_part(self.before[self.coarsest], 0))]
        for level in range(self.coarsest, 0, -1):
            block = self.after[level]
            shared.append(reflected_conv(features[level - 1], *feature_part(block, block.conv.out_channels)))
        return shared

    def _decode(self, shared: list[Tensor], disparity: Tensor, finest: int) -> list[Tensor]:
        """Planes at the scales from `finest` on, from the common terms and disparity (B, S)."""
        embedding = embed_disparity(disparity)
        z = _add_embedding(shared[0], embedding, self.before[self.coarsest])
        outputs: list[Tensor] = []
        for level in range(self.coarsest, finest - 1, -1):
            z = self._upsample(level, z, shared[self.coarsest + 1 - level] if level else None, embedding)
            kernels: list[Kernel] = [self.before[level - 1].kernel()] if level > finest else []
            if level < SCALES:
                head = self.head(level)
                kernels.append((head.weight, head.bias))
            outs = norm_elu_conv(z, self.after[level].norm, _cast(kernels, z.dtype))
            z = outs[0]
            if level < SCALES:
                outputs.append(outs[-1])
        return [_field(out.float().unflatten(0, disparity.shape)) for out in reversed(outputs)]

    def _upsample(self, level: int, z: Tensor, shared: Tensor | None, embedding: Tensor) -> Tensor:
        """Nearest x2 of z, then the convolution of the level's block `after` of [z, features, embedding]."""
        block, norm = self.after[level], self.before[level].norm
        weight, bias = block.kernel()
        phases = phase_kernel(weight[:, : block.conv.out_channels])
        if shared is None:
            (kernel,) = _cast([(phases, bias.repeat(4))], z.dtype)
            return norm_elu_upsample_conv(z, norm, kernel)
        own = _embedding_bias(embedding, weight)
        (kernel,) = _cast([(phases, None)], z.dtype)
        return norm_elu_upsample_conv(z, norm, kernel, shared.to(z.dtype), own.flatten(0, 1).to(z.dtype))


def _field(out: Tensor) -> Tensor:
    """From a head's output x (B, S, 4, H, W) to planes: RGB = sigmoid(x), density σ = |x| + 1e-4."""
    return torch.cat([torch.sigmoid(out[:, :, :3]), out[:, :, 3:].abs() + 1e-4], dim=2)


def reflected_conv(
    x: Float[Tensor, "N C H W"], weight: Float[Tensor, "C_out C 3 3"], bias: Float[Tensor, " C_out"] | None
) -> Float[Tensor, "N C_out H W"]:
    """Applies a 3x3 convolution with reflection padding."""
    return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), weight, bias)


def feature_part(block: Block, start: int) -> tuple[Float[Tensor, "C_out C 3 3"], Float[Tensor, " C_out"]]:
    """Selects the weights of the image's features from a block whose input is a concatenation.

    Args:
        block: A block of [other features, image's features, embedding].
        start: Channels of the other features.

    Returns:
        The weight of the image's features, and the bias of the block.
    """
    weight, bias = block.kernel()
    return weight[:, start:-CHANNELS], bias


def _add_embedding(shared: Tensor, embedding: Tensor, block: Block) -> Tensor:
    """Common term (B, C, H, W) plus each plane's bias from its embedding (B, S, 21): (B S, C, H, W)."""
    bias = _embedding_bias(embedding, block.kernel()[0])
    return (shared[:, None] + bias[..., None, None]).flatten(0, 1)


def _embedding_bias(embedding: Tensor, weight: Tensor) -> Tensor:
    """Convolution (B, S, C') of embeddings (B, S, 21), constant over a plane, with the last 21 inputs of a weight."""
    return torch.einsum("bse,ce->bsc", embedding, weight[:, -CHANNELS:].sum((2, 3)))


def _conv_norm(inputs: int, outputs: int, size: int) -> nn.Sequential:
    """Convolution padded by zeros, batch norm, LeakyReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=False), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.1)
    )


def _cast(kernels: list[Kernel], dtype: torch.dtype) -> list[Kernel]:
    """Kernels in the dtype of the features: `torch.autocast` does not reach into autograd functions."""
    return [(weight.to(dtype), None if bias is None else bias.to(dtype)) for weight, bias in kernels]
