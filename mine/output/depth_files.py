"""The depth of a scene's source view as data: 16-bit PNG and float OpenEXR, continuous, not in steps of the planes."""

from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mine.files import replacing
from mine.output.surface_layers import SurfaceLayers
from mine.scene.depth import disparity_16bit


def write_depth_png(surfaces: SurfaceLayers, path: str | Path) -> None:
    """Writes disparity in 16 bits, near is bright.

    Disparity in 1 / scene units is value / 65535 times the number "largest_disparity" in the PNG's text, as in the
    depth frames of `render_video`.

    Raises:
        InputError: The file cannot be written.
    """
    disparity = surfaces.layers.disparity
    largest = float(disparity.max())
    text = PngInfo()
    text.add_text("largest_disparity", repr(largest))
    with replacing(path) as temporary:
        Image.fromarray(disparity_16bit(1 / disparity[None], largest)[0]).save(temporary, pnginfo=text)


def write_depth_exr(surfaces: SurfaceLayers, path: str | Path) -> None:
    """Writes depth along the optical axis in scene units as 32-bit floats, in channel Z, as renderers name it.

    Raises:
        InputError: The file cannot be written.
        ModuleNotFoundError: OpenEXR is not installed (`mine[formats]`).
    """
    import OpenEXR

    depth = (1 / surfaces.layers.disparity[0]).to(torch.float32).numpy()
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    content = BytesIO()  # OpenEXR takes no names that are not UTF-8
    with OpenEXR.File(header, {"Z": np.ascontiguousarray(depth)}) as file:
        file.write(content)
    with replacing(path) as temporary:
        temporary.write_bytes(content.getbuffer())
