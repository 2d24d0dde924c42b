"""Planes as a .zip of PNGs with transparency and one JSON file, for compositing programs and one's own code.

`scene.json` holds:

    format   "mine.layers/1"
    size     [width, height] of the images in pixels
    camera   fx, fy, cx, cy in pixels, (0, 0) at the centre of the top left pixel; fov_x in degrees
    axes     of points: x right, y down, z forward, in scene units
    layers   nearest first: file, depth (distance along the optical axis), and corners, the points [x, y, z] of the
             image's outer corners: top left, top right, bottom left, bottom right

Images hold straight (not premultiplied) sRGB colours. The farthest one is opaque. Blended over one another from the
farthest to the nearest, they are the photo, but for the pixels beside silhouettes, whose mixed colours are separated.
"""

import io
import json
import math
import zipfile
from pathlib import Path

import torch
from PIL import Image

from mine.files import replacing
from mine.output.plane_images import plane_images
from mine.output.surface_layers import SurfaceLayers, unproject
from mine.scene.pixels import to_pixels

FORMAT = "mine.layers/1"

_DATE = (1980, 1, 1, 0, 0, 0)
"""Date of the files in the archive, so that the same scene makes the same file."""


def write_layers_zip(surfaces: SurfaceLayers, disparity: torch.Tensor, path: str | Path) -> None:
    """Writes a scene's planes as images.

    Args:
        surfaces: The surfaces; the images have their resolution.
        disparity: (S,) of the planes, strictly descending.
        path: File to write.

    Raises:
        InputError: The file cannot be written.
    """
    (height, width), K = surfaces.size, surfaces.K
    u, v = torch.tensor([[0, width, 0, width], [0, 0, height, height]]).to(K) - 0.5
    layers = []
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for number, plane in enumerate(plane_images(surfaces, disparity)):
            corners = unproject(torch.full_like(u, 1 / plane.depth), K, u, v)
            name = f"layers/{number:03d}.png"
            stream = io.BytesIO()
            Image.fromarray(to_pixels(plane.image)).save(stream, "PNG")
            archive.writestr(zipfile.ZipInfo(name, _DATE), stream.getvalue())
            layers.append({"file": name, "depth": plane.depth, "corners": corners.tolist()})
        content = {
            "format": FORMAT,
            "size": [width, height],
            "camera": {
                "fx": float(K[0, 0]),
                "fy": float(K[1, 1]),
                "cx": float(K[0, 2]),
                "cy": float(K[1, 2]),
                "fov_x": math.degrees(2 * math.atan(width / 2 / float(K[0, 0]))),
            },
            "axes": "x right, y down, z forward",
            "layers": layers,
        }
        archive.writestr(zipfile.ZipInfo("scene.json", _DATE), json.dumps(content, indent=1, allow_nan=False))
