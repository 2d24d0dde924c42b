"""From a photo to a scene: the whole library for most users."""

import os
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from mine.camera import DEFAULT_FOV, check_intrinsics, intrinsics, resize_intrinsics
from mine.errors import InputError
from mine.network.checkpoint import load_network
from mine.network.network import Network
from mine.photo import Photo, Source, network_size, read_photo
from mine.planes import MPI, check_disparity, resize
from mine.render.reference import blend_source

Dtype = Literal["auto", "float32", "bfloat16", "float16"]

GROUP = 4
"""Planes decoded at a time: their feature maps stay in a processor's cache, and memory stays bounded."""


def load(source: str | os.PathLike[str] | None = None, device: str = "auto", dtype: Dtype = "auto") -> "Model":
    """A model ready to predict.

    source: a checkpoint of ours (.safetensors) or a published MINE checkpoint (checkpoint.pth, with params.yaml beside
    it when there is one); by default the one that is shipped. device: "cpu", "cuda", ... or "auto" (a GPU when there
    is one). dtype: of the network's arithmetic; "auto" is float32, which is exact, on CPUs and float16 on GPUs.

    Raises InputError for a missing or foreign checkpoint and for a device that is not there.
    """
    loaded = load_network(shipped_checkpoint() if source is None else source)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        network = loaded.network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {device!r} is not available here: choose cpu") from error
    if dtype == "auto":
        dtype = "float16" if torch.device(device).type == "cuda" else "float32"
    return Model(network, loaded.near, loaded.far, getattr(torch, dtype))


def shipped_checkpoint() -> Path:
    """The checkpoint that comes with the project: in `checkpoints/` of a clone, in the package once installed."""
    name = Path("checkpoints", "mine.safetensors")
    package = Path(__file__).parent
    return next((root / name for root in (package, package.parent) if (root / name).is_file()), package.parent / name)


SEEN_ENOUGH = 0.25
"""Networks of logarithmic density draw soft surfaces, some planes thick. A plane of which the photo saw a quarter takes
the photo's colour whole; otherwise the network's own colours would haze what is plainly visible."""


class Model:
    """A network and what it takes to use it on photos."""

    def __init__(
        self, network: Network, near: float = 1.0, far: float = 0.001, dtype: torch.dtype = torch.float32
    ) -> None:
        self.network = network.eval().requires_grad_(False)
        self.near, self.far, self.dtype = near, far, dtype

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.network.parameters()).device

    @torch.no_grad()
    def predict(
        self,
        image: Source,
        planes: int = 32,
        disparity: Tensor | None = None,
        size: tuple[int, int] | None = None,
        fov: float | None = None,
        K: Tensor | None = None,
        blend: bool = True,
    ) -> MPI:
        """The scene in a photo.

        image: path, PIL image, (H, W, 3) array or (3, H, W) tensor; see `mine.photo.read_photo`.
        planes: how many, at even steps of disparity over the range the network was trained on.
        disparity: (S,) strictly descending 1 / depths instead, any values.
        size: (H, W) of the planes, multiples of 128; by default about 384x256 pixels in the photo's aspect.
        fov: horizontal field of view in degrees; by default what the photo's EXIF says, else 90.
        K: (3, 3) intrinsics in pixels of the photo instead.
        blend: take colours from the photo wherever it saw the scene (section 3.3); otherwise all are the network's.

        Raises InputError for photos that cannot be read, and for planes, sizes or cameras that make no sense.
        """
        photo = read_photo(image)
        disparity = self._disparity(planes, disparity)
        size = size or network_size(*photo.rgb.shape[-2:])
        if len(size) != 2 or min(size) < 128 or any(side % 128 for side in size):
            raise InputError(f"size {tuple(size)} is not possible: give (height, width) in multiples of 128")
        K = _camera(photo, size, fov, K).to(self.device)
        small = resize(photo.rgb, size).clamp(0, 1).to(self.device)
        drawn = self._draw(small[None], disparity[None])
        if blend:
            enough = SEEN_ENOUGH if self.network.architecture.log_density else 1.0
            drawn = blend_source(drawn, disparity[None], K[None], small[None], enough)
        rgb, sigma = drawn[0].float().split([3, 1], dim=1)
        return MPI(rgb, sigma, disparity, K, photo.rgb.to(self.device) if blend else None)

    def _disparity(self, planes: int, disparity: Tensor | None) -> Tensor:
        if disparity is None:
            if planes < 2:
                raise InputError(f"{planes} planes make no scene: ask for at least 2")
            disparity = torch.linspace(self.near, self.far, planes)
        check_disparity(disparity, disparity.numel())
        return disparity.to(self.device, torch.float32)

    def _draw(self, image: Tensor, disparity: Tensor) -> Tensor:
        """Finest planes (1, S, 4, H, W)."""
        image = image.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            return self.network(image, disparity, group=GROUP)[0]


def _camera(photo: Photo, size: tuple[int, int], fov: float | None, K: Tensor | None) -> Tensor:
    """Intrinsics (3, 3) in pixels of planes of `size`."""
    height, width = photo.rgb.shape[-2:]
    if K is None:
        known = next(angle for angle in (fov, photo.fov, DEFAULT_FOV) if angle is not None)
        return intrinsics(size, known, aspect=width / height)
    if K.shape != (3, 3):
        raise InputError(f"K has shape {tuple(K.shape)}: give 3x3 intrinsics in pixels of the photo")
    check_intrinsics(K)
    return resize_intrinsics(K.float(), (height, width), size)
