"""The multiplane image (MPI): planes of colour and density in front of one camera, and its file format."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from mine.errors import InputError, warn
from mine.render import Backend, Prepared, View, join, prepare
from mine.scene import mpi_checks
from mine.scene.as_tensor import ArrayLike, as_floats, as_tensor
from mine.scene.camera import check_intrinsics, check_poses, off_axis_shift, resize_intrinsics, shift_principal_point
from mine.scene.detail import detail_size, photo_detail
from mine.scene.device import as_device
from mine.scene.limits import as_size, check_view_size
from mine.scene.mpi_file import read_parts, write_parts
from mine.scene.plane_surfaces import Surfaces, find_surfaces, known_surfaces
from mine.scene.view_planes import FineScene, fine_size, make_fine_scene

SOURCE_DEPTH_SIDE = 128
"""Longest side in pixels of `MPI.source_depth`."""

Kept = TypeVar("Kept")


@dataclass(frozen=True, eq=False, init=False, repr=False)
class MPI:
    """A multiplane image: a planar radiance field in the frustum of its source camera.

    Arguments that are tensors may be NumPy arrays or lists of numbers as well; floats of any precision become float32.
    What views have in common is computed once, or, of parts that require gradients, whose values change, for each view:
    give `detach()` of them to render many.

    Attributes:
        planes: RGB in [0, 1], then density σ ≥ 0 per scene unit; nearest plane first.
        disparity: 1 / depth of the planes in the source camera, strictly descending.
        K: Source intrinsics in pixels of the planes.
        photo: Source image in [0, 1] at any resolution, or None. With a photo, views are as sharp as the photo wherever
            the source camera sees the scene.
        surface: Disparity of the visible surface that the planes were lifted from, or None. With a photo, views larger
            than the planes are rendered from planes of their own resolution, whose silhouettes are the photo's
            (`mine.scene.view_planes`): lifted from this surface, or from those that the planes show.
        background: What lies behind that surface, disparity and RGB, where a network predicted it; or None.
    """

    planes: Float[Tensor, "S 4 H W"]
    disparity: Float[Tensor, " S"]
    K: Float[Tensor, "3 3"]
    photo: Float[Tensor, "3 Hp Wp"] | None
    surface: Float[Tensor, "1 H W"] | None
    background: Float[Tensor, "4 H W"] | None

    def __init__(
        self,
        rgb: ArrayLike,
        sigma: ArrayLike,
        disparity: ArrayLike,
        K: ArrayLike,
        photo: ArrayLike | None = None,
        surface: ArrayLike | None = None,
        background: ArrayLike | None = None,
    ) -> None:
        """Joins colours and densities in one tensor, laid out as the renderer of their device reads it.

        Args:
            rgb: (S, 3, H, W) colours in [0, 1].
            sigma: (S, 1, H, W) densities ≥ 0 per scene unit.
            disparity: (S,) 1 / depth of the planes, strictly descending (near to far).
            K: (3, 3) source intrinsics in pixels of the planes.
            photo: (3, Hp, Wp) source image in [0, 1], or None.
            surface: (1, H, W) disparity of the visible surface that the planes were lifted from, or None.
            background: (4, H, W) disparity and RGB of what lies behind that surface, or None.

        Raises:
            InputError: Shapes, order or values are not these.
        """
        rgb, sigma = as_tensor(rgb, "rgb"), as_tensor(sigma, "sigma")
        if rgb.ndim != 4 or rgb.shape[1] != 3 or rgb.numel() == 0 or sigma.shape != (rgb.shape[0], 1, *rgb.shape[2:]):
            raise InputError(
                f"planes have shapes {tuple(rgb.shape)} and {tuple(sigma.shape)}: "
                "give rgb (S, 3, H, W) and sigma (S, 1, H, W)"
            )
        self._assign(join(rgb.float(), sigma.float()), disparity, K, photo, surface, background)

    @classmethod
    def from_planes(
        cls,
        planes: ArrayLike,
        disparity: ArrayLike,
        K: ArrayLike,
        photo: ArrayLike | None = None,
        surface: ArrayLike | None = None,
        background: ArrayLike | None = None,
    ) -> "MPI":
        """Makes a multiplane image of planes without a copy.

        Args:
            planes: (S, 4, H, W) RGB in [0, 1], then σ ≥ 0; fastest on CPUs if `mine.render.join` laid them out.
            disparity: As the others, see the constructor.
            K: (3, 3).
            photo: (3, Hp, Wp) or None.
            surface: (1, H, W) or None.
            background: (4, H, W) or None.

        Raises:
            InputError: Shapes, order or values are not these.
        """
        planes = as_tensor(planes, "planes")
        if planes.ndim != 4 or planes.shape[1] != 4:
            raise InputError(f"planes have shape {tuple(planes.shape)}: give (S, 4, H, W)")
        scene = cls.__new__(cls)
        scene._assign(planes.float(), disparity, K, photo, surface, background)
        return scene

    def _assign(
        self,
        planes: Tensor,
        disparity: ArrayLike,
        K: ArrayLike,
        photo: ArrayLike | None,
        surface: ArrayLike | None,
        background: ArrayLike | None,
    ) -> None:
        """Checks the parts and sets the attributes."""
        disparity, K = as_floats(disparity, "disparity"), as_floats(K, "K")
        photo = None if photo is None else as_floats(photo, "photo")
        surface = None if surface is None else as_tensor(surface, "surface").float()
        background = None if background is None else as_tensor(background, "background").float()
        if planes.numel() == 0:
            raise InputError(f"planes have shape {tuple(planes.shape)}: give (S, 4, H, W), none of them 0")
        mpi_checks.check_colours("rgb", planes[:, :3])
        mpi_checks.check_density(planes[:, 3:])
        mpi_checks.check_disparity(disparity, len(planes))
        if K.ndim != 2:
            raise InputError(f"K has shape {tuple(K.shape)}: give (3, 3), the intrinsics of the source camera")
        check_intrinsics(K)
        if photo is not None:
            mpi_checks.check_photo(photo)
        if surface is not None:
            mpi_checks.check_surface(surface, (planes.shape[-2], planes.shape[-1]))
        if background is not None:
            mpi_checks.check_background(background, surface)
        # The class is frozen, for what is kept below must not grow stale.
        parts: dict[str, Tensor | None] = {"planes": planes, "disparity": disparity, "K": K}
        parts |= {"photo": photo, "surface": surface, "background": background}
        for name, value in parts.items():
            object.__setattr__(self, name, value)

    @property
    def rgb(self) -> Float[Tensor, "S 3 H W"]:
        """Colours in [0, 1], a view of `planes`."""
        return self.planes[:, :3]

    @property
    def sigma(self) -> Float[Tensor, "S 1 H W"]:
        """Densities per scene unit, a view of `planes`."""
        return self.planes[:, 3:]

    @property
    def plane_size(self) -> tuple[int, int]:
        """(H, W) of the planes."""
        return self.planes.shape[-2], self.planes.shape[-1]

    def __repr__(self) -> str:
        return f"MPI({mpi_checks.describe(self.planes, self.disparity, self.photo)})"

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of a view at full resolution: the photo's size, or the planes' when there is no photo."""
        shape = self.planes.shape if self.photo is None else self.photo.shape
        return shape[-2], shape[-1]

    def intrinsics(self, size: tuple[int, int]) -> Float[Tensor, "3 3"]:
        """Intrinsics of the source camera in pixels of a view of `size` (H, W)."""
        return resize_intrinsics(self.K, self.plane_size, size)

    @property
    def requires_grad(self) -> bool:
        """Whether a part of the scene requires gradients."""
        parts = self.planes, self.disparity, self.K, self.photo, self.surface, self.background
        return any(part is not None and part.requires_grad for part in parts)

    @cached_property
    def _kept(self) -> dict[str, tuple[object, Any]]:
        """Keys and values of `_keep`, by name."""
        return {}

    def _keep(self, name: str, key: object, make: Callable[[], Kept]) -> Kept:
        """What `make` returns, kept under a name until it is asked for with another key.

        Nothing is kept of parts that require gradients: an optimiser changes them in place, and the graph of one view
        is gone when the next one needs it.
        """
        if self.requires_grad:
            return make()
        kept = self._kept.get(name)
        if kept is not None and kept[0] == key:
            found: Kept = kept[1]
            return found
        del kept
        self._kept.pop(name, None)  # before the next one takes its memory
        with torch.inference_mode(False):  # later views may need gradients, even if this one does not
            made = make()
        self._kept[name] = key, made
        return made

    @property
    def source_depth(self) -> Float[Tensor, "h w"]:
        """Depth in scene units rendered in the source camera, at most `SOURCE_DEPTH_SIDE` pixels a side."""
        shrink = min(1.0, SOURCE_DEPTH_SIDE / max(self.size))
        size = (max(1, round(self.size[0] * shrink)), max(1, round(self.size[1] * shrink)))
        with torch.no_grad():
            return self._keep("source depth", size, lambda: self.render(torch.eye(4), size=size).depth[0, 0])

    @property
    def surfaces(self) -> Surfaces:
        """The visible surface and what is known of its background: as given, or else as the planes show them."""
        if self.surface is not None:
            return known_surfaces(self.surface, self.background)
        with torch.no_grad():
            return self._keep("surfaces", None, lambda: find_surfaces(self.planes, self.disparity))

    def _prepare(self, shown: tuple[int, int] | None) -> Prepared:
        """What the renderer computes once for all views that show the photo at size `shown` (H, W)."""

        def make() -> Prepared:
            detail = None
            if self.photo is not None and shown is not None:
                detail = photo_detail(self.photo, self.plane_size, shown)[None]
            return prepare(self.planes[None], self.disparity[None], self.K[None], detail)

        return self._keep("prepared", shown, make)

    def _shown_sizes(self, K: Tensor, size: tuple[int, int]) -> list[tuple[int, int] | None]:
        """Sizes (H, W) at which views of `size` with intrinsics K (N, 3, 3) show the photo, each by its own focals."""
        if self.photo is None:
            return [None] * len(K)
        focal, own = K.detach()[:, [0, 1], [0, 1]], self.intrinsics(size).detach()[[0, 1], [0, 1]]
        magnifications = (focal / own).prod(dim=1).abs().sqrt().tolist()
        return [detail_size(self.size, self.plane_size, size, magnification) for magnification in magnifications]

    def _fine_scene(self, size: tuple[int, int]) -> FineScene | None:
        """What views of `size` (H, W) are rendered from in place of the planes; kept for views of the same size."""
        photo = self.photo
        if photo is None or (torch.is_grad_enabled() and self.requires_grad):
            return None
        fine = fine_size(size, self.plane_size, self.size)
        if fine is None:
            return None
        surfaces = self.surfaces
        if surfaces.are_fog:
            return None
        camera = self.disparity, self.intrinsics(fine)
        return self._keep("fine scene", fine, lambda: make_fine_scene(surfaces, photo, *camera, fine))

    def _render(self, K: Tensor, T: Tensor, size: tuple[int, int], backend: Backend, fine: bool) -> View:
        """Views of `size` (H, W) with intrinsics K (N, 3, 3) and poses T (N, 4, 4), either of them 1 or N."""
        scene = self._fine_scene(size) if fine else None
        if scene is not None:
            return scene.render(K, T, size, backend)
        views, batch, start = [], max(len(K), len(T)), 0
        K, T = K.expand(batch, 3, 3), T.expand(batch, 4, 4)
        # The views of a zoom show the photo at several sizes: what one shows must not depend on those beside it.
        for shown, group in groupby(self._shown_sizes(K, size)):
            part = slice(start, start + len(list(group)))
            views.append(self._prepare(shown).render(K[part], T[part], size, backend))
            start = part.stop
        return views[0] if len(views) == 1 else View(*(torch.cat(values) for values in zip(*views, strict=True)))

    def render(
        self,
        T: ArrayLike,
        K: ArrayLike | None = None,
        size: tuple[int, int] | None = None,
        backend: Backend = "auto",
        fine: bool = True,
    ) -> View:
        """Views from other cameras (volume rendering of the warped planes, Li et al. 2021, eq. 3 to 7).

        Views that do not fit the memory of a GPU are rendered on the CPU, with an `InputWarning`.

        Args:
            T: (4, 4) or (N, 4, 4) target-from-source poses in OpenCV's axes, translation in scene units.
            K: (3, 3) or (N, 3, 3) target intrinsics in pixels of `size`; by default the source camera's, with its
                principal point shifted if T are `OffAxisPoses`.
            size: (H, W) of the views; by default the scene's own `size`.
            backend: See `mine.render.render`.
            fine: Give views that are larger than the planes planes of their own resolution, as the class describes;
                without, the planes are magnified.

        Returns:
            rgb (N, 3, H, W), depth (N, 1, H, W) in scene units and mask (N, 1, H, W).

        Raises:
            InputError: Poses or intrinsics are not finite, a K is singular, or they are not for the same views.
        """
        size = self.size if size is None else as_size(size)
        T = as_tensor(T, "pose")
        check_poses(T)
        if K is None:
            K = self.intrinsics(size).expand(*T.shape[:-2], 3, 3)
            K = shift_principal_point(K, off_axis_shift(T))
        K = as_floats(K, "K")
        T = T.as_subclass(Tensor)
        check_intrinsics(K)
        check_view_size(mpi_checks.count_views(K, T), size)
        K, T = (x.to(self.K) for x in (K if K.ndim == 3 else K[None], T if T.ndim == 3 else T[None]))
        if size not in self._sizes_for_cpu:
            try:
                return _in_range(self._render(K, T, size, backend, fine))
            except torch.OutOfMemoryError:
                self._sizes_for_cpu.add(size)
        return self._render_on_cpu(K, T, size, fine)

    @cached_property
    def _sizes_for_cpu(self) -> set[tuple[int, int]]:
        """Sizes (H, W) of views for which the GPU lacked memory."""
        return set()

    def _render_on_cpu(self, K: Tensor, T: Tensor, size: tuple[int, int], fine: bool) -> View:
        """Views for which the GPU lacks memory, on the scene's device."""
        device = self.planes.device
        problem = f"views of {size[1]}x{size[0]} pixels do not fit the memory of {device}"
        warn(f"{problem}: they are rendered on the CPU, which takes longer")
        for name in ("prepared", "fine scene"):
            self._kept.pop(name, None)
        torch.cuda.empty_cache()
        scene = self._keep("on the CPU", None, lambda: self.to("cpu"))
        return View(*(part.to(device) for part in scene.render(T, K, size, fine=fine)))

    def to(self, device: torch.device | str) -> "MPI":
        """The same scene on another device; the scene itself where it is there already.

        Raises:
            InputError: The device is not available.
        """
        device = as_device(device)
        if device == self.planes.device:
            return self
        rgb, sigma, disparity, K = (part.to(device) for part in (self.rgb, self.sigma, self.disparity, self.K))
        optional = (None if part is None else part.to(device) for part in (self.photo, self.surface, self.background))
        return MPI(rgb, sigma, disparity, K, *optional)

    def save(self, path: str | Path, half: bool = True) -> None:
        """Writes the scene as safetensors.

        Args:
            path: File to write, whose name ends in .mpi.
            half: Store colours as 8 bits, and densities as float16 unless that is too coarse (depths beyond 16 thousand
                scene units, densities beyond 65 thousand); otherwise all as float32.

        Raises:
            InputError: The name does not end in .mpi, the file cannot be written, or the scene is too large or no
                camera could have seen it (`check_file`).
        """
        parts = {"disparity": self.disparity, "K": self.K, "rgb": self.rgb, "sigma": self.sigma}
        optional = {"photo": self.photo, "surface": self.surface, "background": self.background}
        write_parts(path, parts | {name: part for name, part in optional.items() if part is not None}, half)

    @staticmethod
    @torch.inference_mode(False)
    def open(path: str | Path) -> "MPI":
        """Reads a scene written by `save`; nothing in the file is executed.

        Raises:
            InputError: The file is missing or is not a scene.
        """
        parts = read_parts(path)
        try:
            scene = MPI(**parts)
            mpi_checks.check_file(parts)
            return scene
        except InputError as error:
            raise InputError(f"{path} is no scene: {error}") from error


def _in_range(view: View) -> View:
    """Colours in [0, 1]: cubic filters ring at the edges of a photo's detail."""
    rgb = view.rgb
    return view._replace(rgb=rgb.clamp(0, 1) if rgb.requires_grad else rgb.clamp_(0, 1))


def check_is_scene(scene: object) -> None:
    """Raises InputError for an argument that is no scene, such as the name of its file."""
    if not isinstance(scene, MPI):
        kind = type(scene).__name__
        raise InputError(f"scene is a {kind}: give a scene, of mine.load().predict(photo) or mine.MPI.open(file)")
