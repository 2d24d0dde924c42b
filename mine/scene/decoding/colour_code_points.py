"""Colours told by code points (ITU-T H.273, "nclx" in HEIC and AVIF, "cICP" in PNG) in place of an ICC profile."""

import struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class ColourCodes(NamedTuple):
    """Code points of H.273."""

    primaries: int
    transfer: int


PRIMARIES = {
    1: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),  # BT.709, as sRGB
    5: ((0.640, 0.330), (0.290, 0.600), (0.150, 0.060)),  # PAL
    6: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),  # NTSC
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),  # BT.2020
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),  # DCI-P3
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),  # Display P3
}
"""Chromaticities (x, y) of red, green and blue."""

WHITE = (0.3127, 0.3290)
"""Chromaticity of D65, the white of all of them on a display."""

POWERS = {4: 2.2, 5: 2.8, 8: 1.0}
"""Exponents of the transfers that are powers. PQ and HLG have their own; all others are as good as sRGB's."""

PQ, HLG = 16, 18

PEAK = 1000 / 203
"""Brightest white of HDR photos in units of a page's white (ITU-R BT.2408)."""

KNEE = 0.8
"""Linear value above which HDR highlights are compressed."""


def png_codes(data: bytes) -> ColourCodes | None:
    """The code points in a PNG file's first bytes, None if there are none."""
    at, end = data.find(b"cICP"), data.find(b"IDAT")
    if at < 0 or at > end >= 0 or len(data) < at + 6:
        return None
    return ColourCodes(data[at + 4], data[at + 5])


def box_codes(data: bytes) -> ColourCodes | None:
    """The code points in a HEIC or AVIF file's first bytes, None if there are none."""
    at = data.find(b"colrnclx")
    return ColourCodes(*struct.unpack_from(">HH", data, at + 8)) if 0 <= at <= len(data) - 12 else None


def is_known(codes: ColourCodes) -> bool:
    """Whether codes tell what colours mean: some are reserved, and 2 is unspecified."""
    return codes.primaries in PRIMARIES and codes.transfer not in (0, 2, 3)


def is_srgb(codes: ColourCodes) -> bool:
    """Whether values are sRGB already, or of primaries that are not known."""
    known = codes.transfer in POWERS or codes.transfer in (PQ, HLG)
    return codes.primaries not in PRIMARIES or (codes.primaries == 1 and not known)


def to_srgb(pixels: NDArray[np.uint8], codes: ColourCodes) -> NDArray[np.uint8]:
    """Converts colours to sRGB; what is brighter or more saturated than sRGB can be is compressed or clipped.

    Args:
        pixels: (H, W, 3) uint8.
        codes: Their primaries and transfer.

    Returns:
        (H, W, 3) uint8.
    """
    table = _linear(np.linspace(0, 1, 256, dtype=np.float32), codes.transfer)
    matrix = np.linalg.inv(_to_xyz(1)) @ _to_xyz(codes.primaries)
    linear = table[pixels]
    if codes.transfer == HLG:  # from the scene's light to a display's (ITU-R BT.2100, system gamma 1.2)
        luminance = linear @ _to_xyz(codes.primaries)[1].astype(np.float32)
        linear = linear * PEAK * luminance[..., None] ** 0.2
    linear = linear @ matrix.T.astype(np.float32)
    if codes.transfer in (PQ, HLG):
        linear = _compress(linear)
    linear = linear.clip(0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return (encoded * 255).round().astype(np.uint8)


def _linear(values: Floats, transfer: int) -> Floats:
    """Linear light of values in [0, 1]; 1 is a page's white, except for HLG, whose light is the scene's."""
    if transfer in POWERS:
        return values ** POWERS[transfer]
    if transfer == PQ:
        power = values ** (1 / 78.84375)
        ratio = (power - 0.8359375).clip(0) / (18.8515625 - 18.6875 * power)
        return ratio ** (1 / 0.1593017578125) * 10000 / 203
    if transfer == HLG:
        return np.where(values <= 0.5, values**2 / 3, (np.exp((values - 0.55991073) / 0.17883277) + 0.28466892) / 12)
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def _compress(linear: Floats) -> Floats:
    """Highlights above `KNEE` brought below 1, hues kept."""
    brightest = linear.max(axis=-1, keepdims=True).clip(1e-6)
    above = (brightest - KNEE).clip(0)
    return linear * np.where(above > 0, KNEE + (1 - KNEE) * (1 - np.exp(-above / (1 - KNEE))), brightest) / brightest


def _to_xyz(primaries: int) -> NDArray[np.float64]:
    """(3, 3) matrix from linear RGB to XYZ."""
    columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in PRIMARIES[primaries]]).T
    x, y = WHITE
    return columns * np.linalg.solve(columns, np.array([x / y, 1, (1 - x - y) / y]))
