"""The file of a multiplane image: safetensors whose types, shapes and sizes are checked before values are read."""

import json
from pathlib import Path

import torch
from torch import Tensor

from mine.errors import InputError
from mine.files import check_name, replacing
from mine.inputs.files import parsing, shown
from mine.inputs.kinds import FORMATS
from mine.inputs.tensors import TensorFile, check_dtype, open_tensors, pack_tensors
from mine.scene import mpi_checks
from mine.scene.limits import check_photo_size, check_scene_size
from mine.scene.pixels import to_uint8

FORMAT = FORMATS["scene file"]

SUFFIX = ".mpi"
"""What the names of scene files end in: the command line tells scenes from photos by it."""

_FLOATS = ("F16", "F32", "F64")
_DTYPES = {
    "rgb": ("U8", *_FLOATS),
    "sigma": _FLOATS,
    "disparity": _FLOATS,
    "K": _FLOATS,
    "photo": ("U8", *_FLOATS),
    "surface": _FLOATS,
    "background": _FLOATS,
}
"""Types of the parts of a scene; 8-bit values are colours times 255."""


def read_parts(path: str | Path) -> dict[str, Tensor]:
    """Reads the parts of a scene.

    Args:
        path: A file of format `FORMAT`.

    Returns:
        Arguments of `MPI` by name, float32. Shapes agree, values are not checked yet.

    Raises:
        InputError: The file is missing or no scene file, or its parts have other names, types, shapes or sizes.
    """
    with open_tensors(path, "scene file", f"make one with `mine predict PHOTO -o {path}`") as file:
        try:
            _check_parts(path, file)
        except InputError as error:
            raise InputError(f"{path} is no scene: {error}") from error
        with parsing(f"{path} cannot be read", "copy it again"):
            return {name: decode(file.read(name)) for name in file.shapes}


def write_parts(path: str | Path, parts: dict[str, Tensor], half: bool) -> None:
    """Writes the parts of a scene.

    Args:
        path: File to write.
        parts: Arguments of `MPI` by name.
        half: Store colours in 8 bits and densities in 16, as `encode` does.

    Raises:
        InputError: The name does not end in `SUFFIX`, the file cannot be written, or `check_file` refuses the parts.
    """
    check_name(path)
    if Path(path).suffix.lower() != SUFFIX:
        raise InputError(f"cannot write {path}: give a name that ends in {SUFFIX}")
    mpi_checks.check_file(parts)
    farthest = float(parts["disparity"][-1])
    stored = {name: encode(name, value, half, farthest).cpu().contiguous() for name, value in parts.items()}
    size = tuple(parts["rgb"].shape[-2:])
    with replacing(path) as temporary:
        temporary.write_bytes(pack_tensors(stored, {"format": FORMAT, "size": json.dumps(size)}))


def encode(name: str, value: Tensor, half: bool, farthest: float) -> Tensor:
    """A part as it is stored: float32, or, if `half`, 8-bit colours, and float16 densities where it holds them.

    Disparities stay float32: float16 would make stairs of a slope that is shallow for its distance.

    Args:
        name: Of the part.
        value: Its values.
        half: As said.
        farthest: Disparity of the farthest plane: densities are as small as depths, in scene units, are large.
    """
    if half and name in ("rgb", "photo"):
        return to_uint8(value)
    limits = torch.finfo(torch.float16)
    if half and name == "sigma" and farthest >= limits.tiny and float(value.max()) <= limits.max:
        return value.half()
    return value.float()


def decode(value: Tensor) -> Tensor:
    """A stored part as float32."""
    return value.float().div_(255) if value.dtype == torch.uint8 else value.float()


def _check_parts(path: str | Path, file: TensorFile) -> None:
    """Raises InputError for parts that do not make a scene by their names, types, shapes or sizes."""
    shapes = file.shapes
    if missing := {"rgb", "sigma", "disparity", "K"} - shapes.keys():
        raise InputError(f"it lacks parts of a scene, first {min(missing)!r}: make it anew with `mine predict`")
    if unknown := shapes.keys() - _DTYPES.keys():
        raise InputError(f"it has an unknown part {shown(min(unknown))}: make it anew with `mine predict`")
    for name, allowed in _DTYPES.items():
        if name in shapes:
            check_dtype(path, file, name, allowed)
    rgb = shapes["rgb"]
    if len(rgb) != 4:
        raise InputError(f"rgb has shape {rgb}: give (S, 3, H, W)")
    check_scene_size(rgb[0], (rgb[2], rgb[3]))
    expected = {
        "rgb": (rgb[0], 3, *rgb[2:]),
        "sigma": (rgb[0], 1, *rgb[2:]),
        "disparity": (rgb[0],),
        "K": (3, 3),
        "photo": (3, *shapes.get("photo", ())[1:]),
        "surface": (1, *rgb[2:]),
        "background": (4, *rgb[2:]),
    }
    for name, shape in shapes.items():
        if shape != expected[name] or (name == "photo" and len(shape) != 3):
            raise InputError(f"{name} has shape {shape}: give (3, H, W) for photo and {expected[name]} for others")
    if "photo" in shapes:
        check_photo_size((shapes["photo"][1], shapes["photo"][2]))
