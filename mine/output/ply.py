"""Writer of binary PLY files (Turk 1994), and coloured point clouds."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from mine.files import replacing
from mine.output.surface_layers import SurfaceLayers, unproject
from mine.scene.pixels import to_uint8

_TYPES = {"<f4": "float", "|u1": "uchar"}


def write_ply(path: str | Path, vertices: np.ndarray[Any, Any]) -> None:
    """Writes the element `vertex` of a PLY file, little-endian.

    Args:
        path: File to write.
        vertices: (N,) structured array of float32 and uint8 fields, one for each property.

    Raises:
        InputError: The file cannot be written.
    """
    assert vertices.dtype.fields is not None
    properties = [f"property {_TYPES[kind.str]} {name}" for name, (kind, *_) in vertices.dtype.fields.items()]
    header = ["ply", "format binary_little_endian 1.0", "comment axes: x right, y down, z forward"]
    header += [f"element vertex {len(vertices)}", *properties, "end_header"]
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(("\n".join(header) + "\n").encode())
        file.write(vertices.tobytes())


def write_points_ply(surfaces: SurfaceLayers, path: str | Path) -> None:
    """Writes a coloured point for each pixel of both surfaces, in the source camera's axes and scene units.

    Raises:
        InputError: The file cannot be written.
    """
    layers, (height, width) = surfaces.layers, surfaces.size
    y, x = torch.meshgrid(torch.arange(height).float(), torch.arange(width).float(), indexing="ij")
    hidden = layers.background_disparity[0] > 0
    points = [
        unproject(layers.disparity[0], surfaces.K, x, y).flatten(0, 1),
        unproject(layers.background_disparity[0][hidden], surfaces.K, x[hidden], y[hidden]),
    ]
    colours = torch.cat([layers.rgb.flatten(1).T, layers.background_rgb[:, hidden].T])
    fields = [*((name, "<f4") for name in "xyz"), *((name, "|u1") for name in ("red", "green", "blue"))]
    vertices = np.empty(len(colours), dtype=fields)
    for name, column in zip("xyz", torch.cat(points).T.numpy(), strict=True):
        vertices[name] = column
    for name, column in zip(("red", "green", "blue"), to_uint8(colours).T.numpy(), strict=True):
        vertices[name] = column
    write_ply(path, vertices)
