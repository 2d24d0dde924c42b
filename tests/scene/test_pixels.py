"""Pictures in 8 bits."""

import torch

from mine.scene.pixels import to_pixels, to_uint8


def test_values_are_rounded_to_the_nearest_level_and_clamped() -> None:
    values = torch.tensor([-0.5, 0, 0.4 / 255, 0.6 / 255, 1, 2])
    assert to_uint8(values).tolist() == [0, 0, 0, 1, 255, 255]


def test_channels_come_last() -> None:
    images = torch.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5) / 255
    pixels = to_pixels(images)
    assert pixels.shape == (2, 4, 5, 3) and pixels.flags.c_contiguous
    assert pixels[1, 2, 3, 0] == 60 + 13
    assert (to_pixels(images[1]) == pixels[1]).all()
