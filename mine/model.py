"""From a photo to a scene: `mine.load` and `Model.predict`, all that most users need."""

import os
from copy import deepcopy
from numbers import Integral, Real
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor

from mine.errors import InputError, warn
from mine.network.checkpoint import load_network
from mine.network.disparity.hub import DepthModel
from mine.network.disparity.lift import lift_to_mpi, plane_disparities, scale_density
from mine.network.disparity.network import DisparityNetwork, focal_contrast
from mine.network.disparity.own_depth import OwnDepth, find_kind, fit_to_photo
from mine.network.input_size import MULTIPLE, network_size
from mine.network.protocol import Network
from mine.render import blend_source
from mine.scene.as_tensor import ArrayLike, as_tensor
from mine.scene.camera import check_intrinsics, intrinsics, resize_intrinsics
from mine.scene.depth_maps.depth_map import DepthMap, check_aspect
from mine.scene.depth_maps.read import DepthSource, read_depth
from mine.scene.device import as_device
from mine.scene.exif import phone_fov
from mine.scene.limits import as_size, check_scene_size
from mine.scene.mpi import MPI
from mine.scene.mpi_checks import check_disparity
from mine.scene.photo import Photo, Source, read_photo
from mine.scene.resize import resize

Dtype = Literal["auto", "float32", "bfloat16", "float16"]


def load(
    source: str | os.PathLike[str] | None = None,
    device: str | torch.device = "auto",
    dtype: Dtype | torch.dtype = "auto",
) -> "Model":
    """Loads a model that is ready to predict.

    Args:
        source: A checkpoint of ours (".safetensors"), or a published MINE checkpoint ("checkpoint.pth", with
            "params.yaml" beside it when there is one). The shipped checkpoint by default.
        device: "cpu", "cuda", "cuda:1", ... or "auto", which is a GPU when there is one.
        dtype: Precision of a plane network's arithmetic, by name or as `torch.float32`. "float32" is exact. "bfloat16"
            rounds on CPUs only the convolutions of the finest level: colours differ from float32 by 0.001 on average
            and by up to 0.02. "auto" is float16 on GPUs, bfloat16 on CPUs with bfloat16 matrix units (AMX), and float32
            on other CPUs. Disparity networks, such as the shipped one, always compute in float32.

    Returns:
        The model, in evaluation mode, with its weights on `device`.

    Raises:
        InputError: The checkpoint is missing, damaged or of another format, or the device is not available.

    Example:
        >>> model = mine.load()
        >>> scene = model.predict("photo.jpg")
    """
    precision = _dtype(dtype)
    if source is not None and not isinstance(source, (str, os.PathLike)):
        raise InputError(f"checkpoint is a {type(source).__name__}: give the path of a file")
    if isinstance(device, str) and device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    place = as_device(device, "auto, ")
    network = load_network(shipped_checkpoint() if source is None else source)
    network = network.to(place).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Model(network, precision or _fast_dtype(place))


def _dtype(dtype: str | torch.dtype) -> torch.dtype | None:
    """The dtype of a name such as "float32", None for "auto"."""
    name = str(dtype).removeprefix("torch.")
    if name not in get_args(Dtype):
        raise InputError(f"dtype {name!r} is not possible: choose {', '.join(get_args(Dtype))}")
    return None if name == "auto" else getattr(torch, name)


def _fast_dtype(device: torch.device) -> torch.dtype:
    """The fastest dtype of a device whose error does not show."""
    if device.type != "cpu":
        return torch.float16
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return torch.bfloat16 if capabilities.get("amx_bf16") else torch.float32


def shipped_checkpoint() -> Path:
    """Path of the shipped checkpoint: in `checkpoints/` of a clone, in the package once installed."""
    name = Path("checkpoints", "mine.safetensors")
    package = Path(__file__).parent
    return next((root / name for root in (package, package.parent) if (root / name).is_file()), package.parent / name)


class Model:
    """A network of any kind with what it takes to use it on photos.

    Args:
        network: Any `mine.network.protocol.Network`; its weights are frozen from here on.
        dtype: Precision of a plane network's arithmetic; see `load`.

    Attributes:
        network: The network in evaluation mode, a torch module. `network(image, disparity)` of a plane network returns
            planes at four scales; see `mine.network.planes.network.PlaneNetwork`.
        dtype: As given.
    """

    def __init__(self, network: Network, dtype: torch.dtype = torch.float32) -> None:
        self.network = network.eval().requires_grad_(False)
        self.dtype = dtype
        self._predict_planes = self.network.predictor(dtype)

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return next(self.network.parameters()).device

    @torch.inference_mode(False)  # of what inference mode makes, views have no gradients
    @torch.no_grad()
    def predict(
        self,
        image: Source,
        planes: int = 32,
        disparity: ArrayLike | None = None,
        size: tuple[int, int] | None = None,
        fov: float | None = None,
        K: ArrayLike | None = None,
        blend: bool = True,
        depth: DepthSource | Tensor | DepthModel | None = None,
    ) -> MPI:
        """Predicts the scene in a photo.

        Args:
            image: Path, PIL image, (H, W, 3) array or (3, H, W) tensor; see `mine.scene.photo.read_photo`.
            planes: Number S of planes, at even steps of disparity. They span the disparities of the photo (disparity
                networks), or the range of disparities in training (plane networks).
            disparity: (S,) disparities of the planes instead, 1 / depth, strictly descending.
            size: (H, W) of the planes in pixels, multiples of 128. By default about 384x256 in the photo's aspect
                (`mine.network.input_size.network_size`).
            fov: Horizontal field of view of the photo in degrees. By default from the photo's EXIF, else that of a
                phone's camera, 67 at 4:3; published checkpoints assume 90. The longer the lens, the less depth a
                disparity network is taken to have meant (`focal_contrast`); an assumed field of view changes nothing.
            K: (3, 3) intrinsics instead of a field of view, in pixels of the upright photo as it was given, however
                much it is shrunk when it is read.
            blend: Take colours from the photo wherever the source camera sees the scene (Li et al. 2021, section 3.3),
                and keep the photo in the scene, so that views have the photo's resolution. Otherwise colours are those
                of the planes alone.
            depth: Depth of the photo in place of the network's prediction: a file, array (H, W), image or
                `mine.DepthMap` (see `mine.read_depth`, also for maps that are inverted or in metres), "auto" for the
                map in the photo's own file, or a `mine.DepthModel`. Where its kind is not known, a disparity
                network decides which end is near; with plane networks it counts as disparity. The scene is in metres if
                the map has a scale, else its nearest surface is at 1.

        Returns:
            The scene: S planes of RGB in [0, 1] and density σ ≥ 0, with intrinsics in pixels of the planes, on the
            model's device; or, with an `InputWarning`, on the CPU, if it does not fit the memory of a GPU.

        Raises:
            InputError: The photo or its depth cannot be read, or planes, size or camera are not possible.
        """
        wanted = _wanted_planes(planes, disparity)
        if fov is not None and (not isinstance(fov, Real) or isinstance(fov, bool)):
            raise InputError(f"field of view is {fov!r}: give degrees, above 0, below 180")
        if depth is not None and not isinstance(depth, DepthModel):  # before the photo is decoded
            of_photo = image if isinstance(image, (str, Path)) else None
            depth = read_depth(depth.cpu().numpy() if isinstance(depth, Tensor) else depth, photo=of_photo)
        photo = read_photo(image)
        if isinstance(depth, DepthMap):
            check_aspect(depth, photo.full_size)
        size = network_size(*photo.rgb.shape[-2:]) if size is None else as_size(size, f"multiples of {MULTIPLE}")
        if min(size) < MULTIPLE or any(side % MULTIPLE for side in size):
            raise InputError(f"size {size} is not possible: give (height, width) in multiples of {MULTIPLE}")
        check_scene_size(wanted if isinstance(wanted, int) else len(wanted), size)
        K, contrast = self._camera(photo, size, fov, None if K is None else as_tensor(K, "K"))
        resized = resize(photo.rgb, size).clamp(0, 1)[None]
        depth_map = depth(photo.rgb) if isinstance(depth, DepthModel) else depth
        arguments = resized, wanted, K, photo, blend, depth_map, contrast
        try:
            return self._make_scene(*arguments)
        except torch.OutOfMemoryError:
            problem = f"planes of {size[1]}x{size[0]} pixels do not fit the memory of {self.device}"
        warn(f"{problem}: they are predicted on the CPU, which takes longer")
        torch.cuda.empty_cache()
        return Model(deepcopy(self.network).cpu())._make_scene(*arguments)

    def _make_scene(
        self,
        resized: Tensor,
        disparity: Tensor | int,
        K: Tensor,
        photo: Photo,
        blend: bool,
        depth_map: DepthMap | None,
        contrast: float,
    ) -> MPI:
        """The scene of a photo on the model's device; `resized` (1, 3, H, W) is the photo at the size of the planes."""
        resized, K = resized.to(self.device), K.to(self.device)
        disparity = disparity if isinstance(disparity, int) else disparity.to(self.device)
        if depth_map is not None:
            own = self._own_depth(depth_map, resized, contrast)
            return self._lift(own, resized, disparity, K, photo, blend)
        if isinstance(self.network, DisparityNetwork):
            own = OwnDepth(self._disparity_map(resized, contrast), 1.0)
            return self._lift(own, resized, disparity, K, photo, blend)
        predicted, disparity = self._predict_planes(resized, disparity)
        if blend and not self.network.kind.photo_colours:
            predicted = blend_source(predicted, disparity[None], K[None], resized)
        return MPI.from_planes(predicted[0], disparity, K, photo.rgb.to(self.device) if blend else None)

    def _disparity_map(self, image: Tensor, contrast: float) -> Tensor:
        """Relative disparity (1, 1, H, W) that the network predicts for an image (1, 3, H, W)."""
        predicted: Tensor = self.network(image.contiguous(memory_format=torch.channels_last), contrast)
        return predicted

    def _own_depth(self, depth_map: DepthMap, image: Tensor, contrast: float) -> OwnDepth:
        """A given depth map for a photo; `image` (1, 3, H, W) is the photo at the size of the planes."""
        predicted = None
        if self.network.kind.lifted and (depth_map.kind == "auto" or depth_map.has_unknown):
            predicted = self._disparity_map(image, contrast)
            depth_map = find_kind(depth_map, predicted)
        return fit_to_photo(depth_map, image, predicted)

    def _lift(
        self, depth: OwnDepth, image: Tensor, disparity: Tensor | int, K: Tensor, photo: Photo, blend: bool
    ) -> MPI:
        """The scene of a photo and its depth; `image` (1, 3, H, W) is the photo at the size of the planes."""
        relative = (
            plane_disparities(depth.disparity, disparity) if isinstance(disparity, int) else disparity / depth.unit
        )
        behind = None
        if isinstance(self.network, DisparityNetwork):
            planes, behind = self.network.lift(image, depth.disparity, relative[None])
            if blend and not self.network.kind.photo_colours:
                planes = blend_source(planes, relative[None], K[None], image)
        else:
            planes = lift_to_mpi(image, depth.disparity, relative[None])
        scale_density(planes, depth.unit)
        disparity = relative * depth.unit
        if not blend:
            return MPI.from_planes(planes[0], disparity, K)
        background = None if behind is None else torch.cat([behind.disparity * depth.unit, behind.rgb], 1)[0]
        return MPI.from_planes(
            planes[0], disparity, K, photo.rgb.to(self.device), depth.disparity[0] * depth.unit, background
        )

    def _camera(self, photo: Photo, size: tuple[int, int], fov: float | None, K: Tensor | None) -> tuple[Tensor, float]:
        """Intrinsics (3, 3) in pixels of planes of `size` (H, W), and the contrast of disparity by their focal length.

        They come from `K` or `fov` if given, else from the photo; an assumed focal length says nothing of the contrast.
        """
        height, width = photo.full_size
        fov = photo.fov if fov is None else fov
        if K is None and fov is None:
            assumed = self.network.kind.assumed_fov or phone_fov((width, height))
            return intrinsics(size, assumed, aspect=width / height), 1.0
        if K is None:
            assert fov is not None
            K = intrinsics(size, fov, aspect=width / height)
        else:
            if K.shape != (3, 3):
                raise InputError(f"K has shape {tuple(K.shape)}: give 3x3 intrinsics in pixels of the photo")
            check_intrinsics(K)
            K = resize_intrinsics(K.float(), (height, width), size)
        return K, float(focal_contrast(K, size))


def _wanted_planes(planes: int, disparity: ArrayLike | None) -> int | Tensor:
    """The number of planes, or their disparities (S,) if these are given, checked."""
    if not isinstance(planes, Integral) or isinstance(planes, bool):
        raise InputError(f"planes is {planes!r}: give a whole number, at least 2")
    if disparity is None:
        return int(planes)
    disparity = as_tensor(disparity, "disparity")
    check_disparity(disparity, disparity.numel())
    return disparity.float()
