"""From a photo to a scene: the whole library for most users."""

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from mine.errors import InputError
from mine.network.checkpoint import AnyNetwork, load_network
from mine.network.disparity.lift import lift_to_mpi, plane_disparities
from mine.network.disparity.network import DisparityNetwork
from mine.network.planes.network import PlaneNetwork
from mine.render import blend_source
from mine.scene.camera import DEFAULT_FOV, check_intrinsics, intrinsics, resize_intrinsics
from mine.scene.images import network_size, resize
from mine.scene.mpi import MPI, check_disparity
from mine.scene.photo import Photo, Source, read_photo

if TYPE_CHECKING:
    from mine.network.planes.cpu.fused import FusedNetwork

Dtype = Literal["auto", "float32", "bfloat16", "float16"]

GROUP = 4
"""Planes decoded at a time: their feature maps stay in a processor's cache, and memory stays bounded."""


def load(source: str | os.PathLike[str] | None = None, device: str = "auto", dtype: Dtype = "auto") -> "Model":
    """A model ready to predict.

    source: a checkpoint of ours (.safetensors) or a published MINE checkpoint (checkpoint.pth, with params.yaml beside
    it when there is one); by default the one that is shipped. device: "cpu", "cuda", ... or "auto" (a GPU when there
    is one). dtype: of a plane network's arithmetic (on processors, of the finest convolutions' alone); "auto" is
    float16 on GPUs, bfloat16 on processors that multiply matrices in it (colours then differ by 0.001 on average with
    the weights of `tests/parity`, and by up to 0.02 in places), and float32, which is exact, on others. Surface
    networks take so little that theirs is float32.

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
        dtype = _fast_dtype(torch.device(device))
    return Model(network, loaded.near, loaded.far, getattr(torch, dtype))


def _fast_dtype(device: torch.device) -> Dtype:
    if device.type != "cpu":
        return "float16"
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return "bfloat16" if capabilities.get("amx_bf16") else "float32"


def shipped_checkpoint() -> Path:
    """The checkpoint that comes with the project: in `checkpoints/` of a clone, in the package once installed."""
    name = Path("checkpoints", "mine.safetensors")
    package = Path(__file__).parent
    return next((root / name for root in (package, package.parent) if (root / name).is_file()), package.parent / name)


class Model:
    """A network and what it takes to use it on photos."""

    def __init__(
        self, network: AnyNetwork, near: float = 1.0, far: float = 0.001, dtype: torch.dtype = torch.float32
    ) -> None:
        self.network = network.eval().requires_grad_(False)
        self.near, self.far, self.dtype = near, far, dtype

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.network.parameters()).device

    @cached_property
    def _fused(self) -> "FusedNetwork":
        # Not imported before it is needed: compiled kernels take their time, and surface networks have none.
        from mine.network.planes.cpu.fused import FusedNetwork

        assert isinstance(self.network, PlaneNetwork)
        return FusedNetwork(self.network, self.dtype)

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

        image: path, PIL image, (H, W, 3) array or (3, H, W) tensor; see `mine.scene.photo.read_photo`.
        planes: how many, at even steps of disparity over the range of the scene (surface networks), or over the range
            that the network was trained on (plane networks).
        disparity: (S,) strictly descending 1 / depths instead, any values.
        size: (H, W) of the planes, multiples of 128; by default about 384x256 pixels in the photo's aspect.
        fov: horizontal field of view in degrees; by default what the photo's EXIF says, else 90.
        K: (3, 3) intrinsics in pixels of the photo instead.
        blend: take colours from the photo wherever it saw the scene (section 3.3), at the photo's own resolution;
            otherwise the scene has only the colours of its planes.

        Raises InputError for photos that cannot be read, and for planes, sizes or cameras that make no sense.
        """
        if disparity is None and planes < 2:
            raise InputError(f"{planes} planes make no scene: ask for at least 2")
        if disparity is not None:
            check_disparity(disparity, disparity.numel())
            disparity = disparity.to(self.device, torch.float32)
        photo = read_photo(image)
        size = size or network_size(*photo.rgb.shape[-2:])
        if len(size) != 2 or min(size) < 128 or any(side % 128 for side in size):
            raise InputError(f"size {tuple(size)} is not possible: give (height, width) in multiples of 128")
        K = _camera(photo, size, fov, K).to(self.device)
        small = resize(photo.rgb, size).clamp(0, 1).to(self.device)
        drawn, disparity = self._draw(small[None], planes, disparity)
        if blend and not isinstance(self.network, DisparityNetwork):  # a lifted surface has the photo's colours already
            drawn = blend_source(drawn, disparity[None], K[None], small[None])
        return MPI.from_planes(drawn[0], disparity, K, photo.rgb.to(self.device) if blend else None)

    def _draw(self, image: Tensor, planes: int, disparity: Tensor | None) -> tuple[Tensor, Tensor]:
        """Planes (1, S, 4, H, W) and their disparities (S,): those asked for, or `planes` over the scene's range."""
        image = image.contiguous(memory_format=torch.channels_last)
        if isinstance(self.network, DisparityNetwork):
            surface = self.network(image)
            disparity = plane_disparities(surface, planes) if disparity is None else disparity
            return lift_to_mpi(image, surface, disparity[None]), disparity
        if disparity is None:
            disparity = torch.linspace(self.near, self.far, planes, device=image.device)
        if image.device.type == "cpu" and self.dtype != torch.float16:
            return self._fused.predict_planes(image, disparity[None], GROUP), disparity
        with torch.autocast(image.device.type, self.dtype, enabled=self.dtype != torch.float32):
            return self.network(image, disparity[None], group=GROUP)[0], disparity


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
