"""The decoder in tiles, on processors that have them, against the plain one."""

import pytest
import torch
import torch.nn.functional as F
from lively_norm import enliven

from mine.network import tiles
from mine.network.decoder import PlaneDecoder
from mine.network.fused import FusedNetwork
from mine.network.network import Architecture, Network
from mine.network.packed import PackedConv
from mine.network.plain import plain_decoder

FEATURES = [3, 4, 5, 6, 7]

needs_tiles = pytest.mark.skipif(not tiles.available(), reason="this processor has no tiles")


def make_decoder(widths: tuple[int, ...]) -> PlaneDecoder:
    torch.manual_seed(0)
    decoder = PlaneDecoder(FEATURES, widths, bottleneck=(6, 5))
    enliven(decoder)
    return decoder.eval().requires_grad_(False)


@needs_tiles
@pytest.mark.parametrize("widths", [(16, 32, 64, 32, 64), (32, 32, 32, 96, 32)])
@pytest.mark.parametrize(("size", "group"), [((64, 64), 1), ((64, 160), 2)])
def test_planes_in_tiles_are_the_plain_ones(widths: tuple[int, ...], size: tuple[int, int], group: int) -> None:
    from mine.network.tiled import TiledDecoder

    decoder = make_decoder(widths)
    assert TiledDecoder.fits(decoder)
    features = [
        torch.randn(1, channels, size[0] >> level, size[1] >> level) for level, channels in enumerate(FEATURES, start=1)
    ]
    disparity = torch.tensor([[1.0, 0.5, 0.2]])
    (expected, *_) = plain_decoder(decoder, features, disparity)
    actual = TiledDecoder(decoder).draw(features, disparity[0], group)[None]
    for found, plain in zip(actual.split([3, 1], 2), expected.split([3, 1], 2), strict=True):
        assert 0 < (found - plain).norm() / plain.norm() < 1e-2
        assert (found - plain).abs().max() < 0.05 * plain.max()


@needs_tiles
@pytest.mark.parametrize(("inputs", "outputs"), [(32, 32), (64, 96)])
def test_numbers_in_two_parts_are_nearly_float32(inputs: int, outputs: int) -> None:
    from mine.network.tile_kernels import draw
    from mine.network.tiled import Tiled, empty_map, in_parts

    x, weight, bias = torch.randn(3, inputs, 9, 21), torch.randn(outputs, inputs, 3, 3) / 9, torch.randn(outputs)
    out = empty_map((3, 9, 21), 2 * outputs)
    draw(in_parts(x), *Tiled(PackedConv(weight, bias), 2).arrays, out, 2)
    actual = torch.from_numpy(out).view(torch.bfloat16).float().unflatten(3, (2, -1)).sum(3).permute(0, 3, 1, 2)
    expected = F.pad(F.elu(F.conv2d(x, weight, bias)), (1, 1, 1, 1), mode="replicate")
    assert (actual - expected).norm() < 2e-5 * expected.norm()


@pytest.mark.parametrize("widths", [(16, 32, 32, 32, 32), (8, 8, 8, 8, 8)])
@pytest.mark.parametrize("present", [True, False])
def test_tiles_are_used_where_they_are_and_channels_fill_them(
    monkeypatch: pytest.MonkeyPatch, widths: tuple[int, ...], present: bool
) -> None:
    if present and not tiles.available():
        pytest.skip("this processor has no tiles")
    monkeypatch.setattr(tiles, "available", lambda: present)
    network = Network(Architecture("resnet18", widths, (8, 8))).eval().requires_grad_(False)
    names = [type(FusedNetwork(network, dtype).decoder).__name__ for dtype in (torch.bfloat16, torch.float32)]
    assert names == ["TiledDecoder" if present and widths[0] == 16 else "FusedDecoder", "FusedDecoder"]
