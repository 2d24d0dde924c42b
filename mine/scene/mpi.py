"""The scene: planes of colour and density in front of one camera, and its file format."""

import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mine.errors import InputError
from mine.files import replacing
from mine.render import Backend, View, choose, draw, join, render
from mine.scene.camera import check_intrinsics, check_poses, resize_intrinsics
from mine.scene.images import resize

if TYPE_CHECKING:
    from mine.render.cpu import render as cpu

FORMAT = "mine.mpi/1"


@dataclass(frozen=True, eq=False)
class MPI:
    """A planar radiance field in the frustum of its source camera.

    rgb: (S, 3, H, W) colours in [0, 1]; sigma: (S, 1, H, W) densities ≥ 0 per scene unit; disparity: (S,) 1 / depth of
    the planes, strictly descending (near to far); K: (3, 3) source intrinsics in pixels of the planes; photo: the
    picture the scene was made from, (3, Hp, Wp) in [0, 1] at any resolution, or None. With a photo, views are as sharp
    as the photo wherever it saw the scene.

    Raises InputError when shapes, order or values are not these.
    """

    rgb: Tensor
    sigma: Tensor
    disparity: Tensor
    K: Tensor
    photo: Tensor | None = None

    def __post_init__(self) -> None:
        planes, size = self.rgb.shape[0], self.rgb.shape[2:]
        if len(size) != 2 or self.rgb.shape != (planes, 3, *size) or self.sigma.shape != (planes, 1, *size):
            raise InputError(
                f"planes have shapes {tuple(self.rgb.shape)} and {tuple(self.sigma.shape)}: "
                "give rgb (S, 3, H, W) and sigma (S, 1, H, W)"
            )
        if self.photo is not None and (self.photo.ndim != 3 or self.photo.shape[0] != 3):
            raise InputError(f"photo has shape {tuple(self.photo.shape)}: give (3, H, W)")
        check_density(self.sigma)
        check_disparity(self.disparity, planes)
        check_intrinsics(self.K)

    @property
    def plane_size(self) -> tuple[int, int]:
        """(H, W) of the planes."""
        return self.rgb.shape[-2], self.rgb.shape[-1]

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of a view at full resolution: the photo's size, or the planes' when there is no photo."""
        shape = self.rgb.shape if self.photo is None else self.photo.shape
        return shape[-2], shape[-1]

    @cached_property
    def detail(self) -> Tensor | None:
        """(3, Hp, Wp): what the photo holds beyond the planes' resolution, or None without a photo."""
        if self.photo is None:
            return None
        # What the planes show at the photo's size: views are sampled without antialiasing.
        blurred = F.interpolate(resize(self.photo, self.plane_size)[None], self.size, mode="bilinear")[0]
        return self.photo - blurred

    @cached_property
    def _planes(self) -> Tensor:
        """(S, 4, H, W) RGB and σ together, as renderers take them: no copy where they are parts of such a tensor."""
        rgb, sigma = self.rgb, self.sigma
        after = rgb.data_ptr() + 3 * rgb.stride(1) * rgb.element_size() == sigma.data_ptr()
        if after and _same_memory(rgb, sigma) and rgb.dtype == torch.float32 and not rgb.requires_grad:
            return rgb.as_strided((len(rgb), 4, *self.plane_size), rgb.stride(), rgb.storage_offset())
        return join(rgb.float(), sigma.float())

    @cached_property
    def _prepared(self) -> "cpu.Prepared":
        """What the "cpu" renderer need not find out again for each view."""
        from mine.render.cpu import render as cpu

        detail = None if self.detail is None else self.detail.float()[None]
        return cpu.prepare(self._planes[None], self.disparity[None], self.K[None], detail)

    def render(
        self, T: Tensor, K: Tensor | None = None, size: tuple[int, int] | None = None, backend: Backend = "auto"
    ) -> View:
        """Views from other cameras (volume rendering of the warped planes, Li et al. 2021, eq. 3 to 7).

        T: (4, 4) or (N, 4, 4) target-from-source poses, translation in scene units. K: (3, 3) or (N, 3, 3) target
        intrinsics in pixels of `size`; by default the source camera's. size: (H, W) of the views; by default the
        scene's own `size`. Returns rgb (N, 3, H, W), depth (N, 1, H, W) and mask (N, 1, H, W).

        Raises InputError for poses or intrinsics that are not finite, or a singular K.
        """
        size = size or self.size
        check_poses(T)
        K = resize_intrinsics(self.K, self.plane_size, size) if K is None else K
        check_intrinsics(K)
        planes, detail = self._planes[None], None if self.detail is None else self.detail.float()[None]
        cameras = (K if K.ndim == 3 else K[None]).to(self.K), (T if T.ndim == 3 else T[None]).to(self.K)
        scene = self.disparity[None], self.K[None]
        if backend == "auto" and choose(planes, detail, *scene, *cameras) == "cpu":
            return draw(self._prepared, *scene, *cameras, size)
        return render(planes, *scene, *cameras, size, detail, backend)

    def to(self, device: torch.device | str) -> "MPI":
        """The same scene on another device."""
        moved = {name: getattr(self, name).to(device) for name in ("rgb", "sigma", "disparity", "K")}
        return replace(self, **moved, photo=None if self.photo is None else self.photo.to(device))

    def save(self, path: str | Path, half: bool = True) -> None:
        """Writes the scene as safetensors: colours as 8 bits, densities as float16 (`half`) or all as float32.

        Raises InputError when the folder cannot be written.
        """
        tensors = {"disparity": self.disparity, "K": self.K, "rgb": self.rgb, "sigma": self.sigma}
        if self.photo is not None:
            tensors["photo"] = self.photo
        tensors = {name: _pack(name, value, half).cpu().contiguous() for name, value in tensors.items()}
        with replacing(path) as temporary:
            save_file(tensors, temporary, metadata={"format": FORMAT, "size": json.dumps(self.plane_size)})

    @staticmethod
    def open(path: str | Path) -> "MPI":
        """Reads a scene written by `save`; nothing in the file is executed.

        Raises InputError for a file that is missing or not a scene.
        """
        if not Path(path).is_file():
            raise InputError(f"no scene file at {path}: make one with `mine predict PHOTO -o {path}`")
        try:
            with safe_open(path, framework="pt") as file:
                if (file.metadata() or {}).get("format") != FORMAT:
                    raise InputError(f"{path} is not a scene of format {FORMAT}: make one with `mine predict`")
                tensors = {name: _unpack(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118 (not a dictionary)
        except SafetensorError as error:
            raise InputError(f"{path} is not a scene file ({error}): make one with `mine predict`") from error
        try:
            return MPI(**tensors)
        except TypeError as error:
            raise InputError(f"{path} lacks parts of a scene ({error}): make it anew with `mine predict`") from error


def _same_memory(one: Tensor, other: Tensor) -> bool:
    return one.stride() == other.stride() and one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()


def check_density(sigma: Tensor) -> None:
    """Raises InputError for densities that are negative or not finite."""
    least, most = sigma.aminmax()
    if not (least >= 0 and most < torch.inf):
        raise InputError(f"sigma reaches from {float(least):g} to {float(most):g}: give finite densities, 0 or more")


def check_disparity(disparity: Tensor, planes: int) -> None:
    """Raises InputError unless disparity (S,) holds `planes` ≥ 2 positive values, strictly descending."""
    if disparity.shape != (planes,) or planes < 2:
        raise InputError(
            f"{planes} planes with disparities of shape {tuple(disparity.shape)}: give at least 2, one each"
        )
    if not torch.isfinite(disparity).all() or (disparity <= 0).any():
        raise InputError("disparities must be positive and finite: they are 1 / depth")
    if (disparity[1:] >= disparity[:-1]).any():
        raise InputError("disparities must be strictly descending, from the nearest plane to the farthest")


def _pack(name: str, value: Tensor, half: bool) -> Tensor:
    if not half or name in ("disparity", "K"):
        return value.float()
    if name == "sigma":
        return value.clamp(max=torch.finfo(torch.float16).max).half()
    return (value.clamp(0, 1) * 255).round().to(torch.uint8)


def _unpack(value: Tensor) -> Tensor:
    return value.float() / 255 if value.dtype == torch.uint8 else value.float()
