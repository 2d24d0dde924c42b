"""Tiles of planes: what is taken apart is put together again."""

import base64

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from placed_tiles import place_tiles

from mine.output.web import tiles as module
from mine.output.web.tiles import RIM, TILE, arrange, encode_bits, split_planes, take_tiles, used_tiles


@given(st.integers(1, 40), st.integers(1, 60), st.integers(1, 5), st.integers(0, 2**31), st.integers(1, 9))
def test_planes_come_back_where_they_show(height: int, width: int, count: int, seed: int, full: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    shown = torch.rand(count, height, width, generator=generator) < 0.01
    planes = torch.randint(255, (count, 3, height, width), generator=generator, dtype=torch.uint8) * shown[:, None]
    used = used_tiles(shown)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "STRIP_TILES", full)
        counts = used.sum(dim=(1, 2))
        runs = split_planes(used)
        assert [plane for run in runs for plane in range(*run)] == list(range(count))
        parts = take_tiles(planes, used).split([int(counts[slice(*run)].sum()) for run in runs])
        placed = place_tiles([arrange(part) for part in parts], used, (height, width))
    assert torch.equal(placed, planes)


def test_a_tiles_rim_shows_its_neighbours_and_repeats_the_planes_border() -> None:
    plane = torch.arange(20.0 * 30).reshape(1, 1, 20, 30)
    tiles = take_tiles(plane, torch.ones(1, 2, 3, dtype=torch.bool))
    assert tiles.shape == (6, 1, TILE, TILE)
    assert torch.equal(tiles[0, 0, RIM:, RIM:], plane[0, 0, : TILE - RIM, : TILE - RIM])
    assert torch.equal(tiles[0, 0, 0], tiles[0, 0, 1])
    assert torch.equal(tiles[1, 0, :, 0], tiles[0, 0, :, -RIM - 1])


def test_bits_are_those_of_the_tiles_by_rows() -> None:
    used = torch.tensor([[True, False, False], [False, False, True], [True, True, True]])
    assert np.unpackbits(np.frombuffer(base64.b64decode(encode_bits(used)), np.uint8)).tolist()[:9] == [
        1,
        0,
        0,
        0,
        0,
        1,
        1,
        1,
        1,
    ]
