"""Textures of a scene: random crops of the photos in a folder, or procedural ones without a folder."""

import os
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from mine.data.synthetic.cutouts import CUTOUTS, cutout
from mine.data.synthetic.procedural import TEXELS, procedural
from mine.errors import InputError
from mine.inputs.folders import matching
from mine.inputs.images import open_image
from mine.scene.decoding.high_bit_depth import to_8bit
from mine.scene.exif import read_exif, upright

_LARGEST = 1024
_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
_CUTOUTS = ("plant", "figure", "thing")


class Textures:
    """Random textures by role.

    Roles of surfaces are wall, floor, ground, object (crates, doors: shown whole) and photo (anything); roles of
    cut-outs, which have an alpha channel, are plant, figure (people, animals) and thing. Photos in subfolders of these
    names are used for that role, all others for any surface.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Lists the photos in a folder, if any. Raises InputError if it has none."""
        self.files: dict[str, list[Path]] = {}
        if folder is None:
            return
        for file in _photos(folder):
            self.files.setdefault(file.parent.name, []).append(file)
        if not self.files:
            raise InputError(f"no images in {folder}: give a folder of photographs for textures, or leave it out")
        roles = {"wall", "floor", "ground", "object", *_CUTOUTS}
        self.anything = [file for role, files in self.files.items() if role not in roles for file in files]

    def surface(self, rng: np.random.Generator, role: str) -> Tensor:
        """A random opaque texture (3, 256, 256) in [0, 1]; those of role "window" are always procedural."""
        files = self._files(rng, role) if role != "window" else []
        if not files:
            return procedural(rng, "object" if role == "photo" else role)
        picture = _photo(files[rng.integers(len(files))])
        return _crop(rng, picture[:3], whole=role == "object")

    def bay(self, rng: np.random.Generator) -> Tensor:
        """A random bay of a facade (3, 256, 256): a window with its trim in a piece of wall."""
        wall = self.surface(rng, "wall").clone()
        window = self.surface(rng, "window")
        wide, high = (2 * int(TEXELS / 2 * share) for share in (rng.uniform(0.25, 0.5), rng.uniform(0.4, 0.62)))
        top, left = int((TEXELS - high) * rng.uniform(0.3, 0.6)), (TEXELS - wide) // 2
        rim = int(rng.integers(3, 14))
        trim = wall.mean((1, 2)) * rng.uniform(0.6, 1.7)
        wall[:, top - rim : top + high + rim, left - rim : left + wide + rim] = trim.clamp(0, 1)[:, None, None]
        wall[:, top : top + high, left : left + wide] = _resize(window, (high, wide))
        return wall

    def cutout(self, rng: np.random.Generator, role: str) -> Tensor:
        """A random cut-out (4, h, w) in [0, 1] whose last channel is alpha; sides are powers of two, at most 256."""
        files = self.files.get(role, [])
        if not files or rng.random() < 0.3:
            return self._procedural_cutout(rng, role)
        picture = _power_of_two(files[rng.integers(len(files))])
        return picture.flip(2) if rng.random() < 0.5 else picture

    def _procedural_cutout(self, rng: np.random.Generator, role: str) -> Tensor:
        shape = cutout(role, int(rng.integers(CUTOUTS)))
        if shape.shape[0] == 4:
            return shape
        return torch.cat([self.surface(rng, "object")[:, ::2, ::2], shape])

    def _files(self, rng: np.random.Generator, role: str) -> list[Path]:
        own = self.files.get(role, [])
        if not self.files or rng.random() < 0.15:
            return []
        return self.anything if self.anything and (not own or rng.random() < 0.1) else own


def fingerprint(folder: Path) -> str:
    """What tells a folder of photos from others: how many there are, and a hash of their names and lengths in bytes.

    Any photo more or less changes which ones a scene shows. Where the folder lies does not.
    """
    files = _photos(folder)
    sizes = [os.stat(file).st_size if os.path.exists(file) else 0 for file in files]
    names = [file.relative_to(folder).as_posix() for file in files]
    listing = "".join(f"{name} {size}\n" for name, size in zip(names, sizes, strict=True))
    return f"{len(files)} photos ({sha256(os.fsencode(listing)).hexdigest()[:12]})"


def _photos(folder: Path) -> list[Path]:
    return [file for file in matching(Path(folder), "**/*") if file.suffix.lower() in _SUFFIXES]


@lru_cache(maxsize=256)
def _photo(file: Path) -> Tensor:
    """An image of the folder as uint8 (3 or 4, h, w), at most 1024 texels long."""
    try:
        with open_image(file) as opened:
            opened.draft("RGB", (_LARGEST, _LARGEST))
            exif = read_exif(opened)
            image, _ = to_8bit(opened, f"texture {file}")
            image = upright(image.convert("RGBA" if image.has_transparency_data else "RGB"), exif)
            image.thumbnail((_LARGEST, _LARGEST))
    except OSError as error:
        raise InputError(f"cannot read the texture {file} ({error}): remove it from the folder") from error
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def _crop(rng: np.random.Generator, picture: Tensor, whole: bool) -> Tensor:
    """A random part (or all) of a picture, maybe mirrored, as a surface texture."""
    height, width = picture.shape[1:]
    if not whole:
        side = int(min(height, width) * rng.uniform(0.4, 1.0))
        top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
        picture = picture[:, top : top + side, left : left + side]
    if rng.random() < 0.5:
        picture = picture.flip(2)
    return _resize(picture, (TEXELS, TEXELS))


def _resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """An image (C, h, w), float in [0, 1] or uint8, as float (C, *size), averaged where it shrinks."""
    pixels = image.permute(1, 2, 0).contiguous().numpy()
    shrinks = pixels.shape[0] > size[0] and pixels.shape[1] > size[1]
    resized = cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    result = torch.from_numpy(resized.reshape(*size, image.shape[0])).permute(2, 0, 1)
    return result.float() / 255 if image.dtype == torch.uint8 else result.clamp(0, 1)


@lru_cache(maxsize=256)
def _power_of_two(file: Path) -> Tensor:
    """A cut-out whose sides are powers of two, so that mip levels halve exactly; colours extend beyond its outline."""
    image = _photo(file).float() / 255
    if image.shape[0] == 3:
        raise InputError(f"{file} has no transparency: cut-outs need an alpha channel; put it in another folder")
    height, width = (min(256, 1 << max(5, round(np.log2(side)))) for side in image.shape[1:])
    alpha = _resize(image[3:], (height, width))
    colour = _resize(image[:3] * image[3:], (height, width)) / alpha.clamp(min=1e-3)
    mean = (image[:3] * image[3:]).sum((1, 2)) / image[3:].sum().clamp(min=1)
    return torch.cat([torch.where(alpha > 0.02, colour, mean[:, None, None]), alpha]).clamp(0, 1)
