"""The size at which a network sees a photo."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mine.network.input_size import network_size


@pytest.mark.parametrize(
    ("photo_size", "expected"),
    [
        ((256, 384), (256, 384)),
        ((3000, 4000), (256, 384)),
        ((4000, 3000), (384, 256)),
        ((1080, 1920), (256, 384)),
        ((1000, 1000), (384, 384)),
        ((500, 4000), (128, 1024)),
        ((4000, 500), (1024, 128)),
    ],
)
def test_network_sizes(photo_size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert network_size(*photo_size) == expected


@given(height=st.integers(16, 2048), width=st.integers(16, 2048), area=st.integers(128 * 128, 1024 * 768))
@settings(max_examples=60, deadline=None)
def test_network_size_is_near_the_photo_and_the_area(height: int, width: int, area: int) -> None:
    size = network_size(height, width, area)
    assert size[0] % 128 == size[1] % 128 == 0 and min(size) >= 128
    assert network_size(width, height, area) == size[::-1], "turning the photo turns the size"

    def cost(h: int, w: int) -> float:
        return 2 * abs(np.log(w / h * height / width)) + abs(np.log(h * w / area))

    neighbours = [(size[0] + dy, size[1] + dx) for dy in (-128, 0, 128) for dx in (-128, 0, 128)]
    assert all(cost(*size) <= cost(h, w) + 1e-5 for h, w in neighbours if min(h, w) >= 128 and h * w <= 4 * area)
