"""Writer of binary glTF 2.0 files (.glb): textured triangles and a camera.

https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html. glTF's axes are x right, y up, z backward: those of the
source camera, with y and z reversed. Materials are unlit (KHR_materials_unlit), for the light is in the photo; viewers
without that extension show them as rough surfaces.
"""

import io
import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from mine.files import replacing
from mine.output.meshes import TexturedMesh
from mine.scene.pixels import to_pixels

JPEG_QUALITY = 92

ZNEAR, ZNEAR_SHARE = 0.01, 0.1
"""Depth from which on the camera sees, in scene units: this, or a share of the nearest point's if that is less."""

_ARRAY_BUFFER, _ELEMENT_ARRAY_BUFFER = 34962, 34963
_FLOAT, _UNSIGNED_INT = 5126, 5125
_CLAMP_TO_EDGE, _LINEAR, _LINEAR_MIPMAP_LINEAR = 33071, 9729, 9987


def write_glb(meshes: list[TexturedMesh], K: Tensor, size: tuple[int, int], path: str | Path) -> None:
    """Writes meshes, each as a node of its own, and the source camera at the origin.

    Args:
        meshes: The meshes, in the order in which they are to be drawn.
        K: (3, 3) intrinsics of the source camera in pixels of `size`.
        size: (H, W) of its image.
        path: File to write.

    Raises:
        InputError: The file cannot be written.
    """
    builder = _Builder()
    for mesh in meshes:
        builder.add(mesh)
    yfov = 2 * math.atan(size[0] / 2 / float(K[1, 1]))
    aspect = size[1] * float(K[1, 1]) / (size[0] * float(K[0, 0]))
    with replacing(path) as temporary:
        temporary.write_bytes(builder.finish(yfov, aspect))


class _Builder:
    """Collects the parts of a file."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.nearest = math.inf
        self.tables: dict[str, list[Any]] = {
            name: [] for name in ("nodes", "meshes", "materials", "textures", "images", "accessors", "bufferViews")
        }

    def add(self, mesh: TexturedMesh) -> None:
        """Adds a mesh with its material and texture."""
        points = mesh.points * mesh.points.new_tensor([1, -1, -1])
        self.nearest = min(self.nearest, float(mesh.points[:, 2].min()))
        attributes = {
            "POSITION": self._accessor(points.float().numpy(), "VEC3", _FLOAT, bounds=True),
            "TEXCOORD_0": self._accessor(mesh.uv.float().numpy(), "VEC2", _FLOAT),
        }
        indices = mesh.triangles.flatten().numpy().astype(np.uint32)
        primitive = {
            "attributes": attributes,
            "indices": self._accessor(indices, "SCALAR", _UNSIGNED_INT, target=_ELEMENT_ARRAY_BUFFER),
            "material": self._material(mesh),
        }
        self.tables["nodes"].append({"name": mesh.name, "mesh": len(self.tables["meshes"])})
        self.tables["meshes"].append({"name": mesh.name, "primitives": [primitive]})

    def finish(self, yfov: float, aspect: float) -> bytes:
        """The file, with a camera of vertical field of view `yfov` in radians."""
        nodes = [*self.tables["nodes"], {"name": "photo camera", "camera": 0}]
        view = {"yfov": yfov, "aspectRatio": aspect, "znear": min(ZNEAR, ZNEAR_SHARE * self.nearest)}
        content = {
            "asset": {"version": "2.0", "generator": "MINE"},
            "extensionsUsed": ["KHR_materials_unlit"],
            "scene": 0,
            "scenes": [{"nodes": list(range(len(nodes)))}],
            **self.tables,
            "nodes": nodes,
            "cameras": [{"type": "perspective", "perspective": view}],
            "samplers": [
                {
                    "magFilter": _LINEAR,
                    "minFilter": _LINEAR_MIPMAP_LINEAR,
                    "wrapS": _CLAMP_TO_EDGE,
                    "wrapT": _CLAMP_TO_EDGE,
                }
            ],
            "buffers": [{"byteLength": len(self.buffer)}],
        }
        text = json.dumps(content, separators=(",", ":"), allow_nan=False).encode()
        text += b" " * (-len(text) % 4)
        chunks = struct.pack("<I4s", len(text), b"JSON") + text
        chunks += struct.pack("<I4s", len(self.buffer), b"BIN\0") + self.buffer
        return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks

    def _accessor(
        self, values: np.ndarray, kind: str, component: int, target: int = _ARRAY_BUFFER, bounds: bool = False
    ) -> int:
        """Adds an array to the buffer and returns its accessor's index."""
        accessor = {
            "bufferView": self._view(np.ascontiguousarray(values).tobytes(), target),
            "componentType": component,
            "count": len(values),
            "type": kind,
        }
        if bounds:
            accessor |= {"min": values.min(axis=0).tolist(), "max": values.max(axis=0).tolist()}
        self.tables["accessors"].append(accessor)
        return len(self.tables["accessors"]) - 1

    def _view(self, data: bytes, target: int | None = None) -> int:
        """Adds bytes to the buffer, which stays aligned to 4, and returns the view's index."""
        view = {"buffer": 0, "byteOffset": len(self.buffer), "byteLength": len(data)}
        self.tables["bufferViews"].append(view if target is None else view | {"target": target})
        self.buffer += data + bytes(-len(data) % 4)
        return len(self.tables["bufferViews"]) - 1

    def _material(self, mesh: TexturedMesh) -> int:
        """Adds a texture and an unlit material that shows it, and returns the material's index."""
        kind, data = _encode(mesh.texture)
        self.tables["images"].append({"name": mesh.name, "mimeType": kind, "bufferView": self._view(data)})
        self.tables["textures"].append({"source": len(self.tables["images"]) - 1, "sampler": 0})
        material: dict[str, Any] = {
            "name": mesh.name,
            "doubleSided": True,
            "pbrMetallicRoughness": {
                "baseColorTexture": {"index": len(self.tables["textures"]) - 1},
                "metallicFactor": 0,
                "roughnessFactor": 1,
            },
            "extensions": {"KHR_materials_unlit": {}},
        }
        if len(mesh.texture) == 4:
            material["alphaMode"] = "BLEND"
        self.tables["materials"].append(material)
        return len(self.tables["materials"]) - 1


def _encode(texture: Tensor) -> tuple[str, bytes]:
    """The MIME type and the bytes of a texture: PNG with an opacity, JPEG without."""
    stream, has_opacity = io.BytesIO(), len(texture) == 4
    image = Image.fromarray(to_pixels(texture))
    if has_opacity:
        image.save(stream, "PNG")
    else:
        image.save(stream, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return ("image/png" if has_opacity else "image/jpeg"), stream.getvalue()
