"""A scene to render many times: what its views have in common is computed by the first one."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mine.errors import InputError
from mine.kernels.gpu_memory import halve_until_it_fits
from mine.render.backends import Backend, Call, Implementation, find_implementation
from mine.render.strips import StripPlanes
from mine.render.view import View


class Prepared:
    """Planes and source camera of `mine.render.render`, with the state that a backend computes once for all views."""

    def __init__(
        self,
        planes: Float[Tensor, "#B S 4 H W"] | StripPlanes,
        disparity: Float[Tensor, "#B S"],
        K_src: Float[Tensor, "#B 3 3"],
        detail: Float[Tensor, "#B _ Hp Wp"] | None = None,
        photo_reach: Float[Tensor, "#B 1 H W"] | None = None,
    ) -> None:
        scene = planes if isinstance(planes, Tensor) else planes.texels[None]
        size = (planes.shape[-2], planes.shape[-1]) if isinstance(planes, Tensor) else planes.size
        given = {"planes": scene, "disparity": disparity, "K_src": K_src, "detail": detail, "photo_reach": photo_reach}
        parts = expand_parts({name: part for name, part in given.items() if part is not None}, scene.shape[1], size)
        self._planes = parts["planes"] if isinstance(planes, Tensor) else planes
        self._scene, self._disparity, self._K_src = (parts[name] for name in ("planes", "disparity", "K_src"))
        self._photo = [parts.get(name) for name in ("detail", "photo_reach")]
        self._states: dict[Implementation, Any] = {}

    def render(
        self,
        K_tgt: Float[Tensor, "#B 3 3"],
        T_tgt_src: Float[Tensor, "#B 4 4"],
        size: tuple[int, int],
        backend: Backend = "auto",
    ) -> View:
        """Views from target cameras; arguments as those of `mine.render.render`.

        A GPU that lacks the memory for all views at once renders them in smaller groups.

        Raises:
            torch.OutOfMemoryError: It lacks the memory for one.
        """
        cameras = self._disparity, self._K_src, K_tgt, T_tgt_src
        detail = self._photo[0]
        call = Call.describe(self._scene, detail, *cameras, detail=detail is not None)
        implementation = find_implementation(call, backend)
        module = implementation.load()
        batch = max(len(self._scene), len(T_tgt_src), len(K_tgt))
        expanded = [_expand(part, batch) for part in cameras]
        if implementation.prepares:
            return module.render_prepared(self._state(implementation), *expanded, size)
        # Interleaved detail has four channels. Reach without detail, of large photos, keeps its place.
        photo = [None if part is None else _expand(part[:, :3], batch) for part in self._photo]
        while photo and photo[-1] is None:
            photo.pop()
        planes = self._planes if isinstance(self._planes, Tensor) else self._planes.dense()[None]
        inputs = [_expand(planes, batch), *expanded, *photo]

        def render_groups(group: int) -> View:
            groups = -(-batch // group)
            parts = zip(*([None] * groups if part is None else part.split(group) for part in inputs), strict=True)
            views = [module.render(*part[:5], size, *part[5:]) for part in parts]
            return views[0] if len(views) == 1 else View(*(torch.cat(values) for values in zip(*views, strict=True)))

        return halve_until_it_fits(render_groups, batch)

    def _state(self, implementation: Implementation) -> Any:
        """What an implementation prepared of this scene."""
        if implementation not in self._states:
            prepare = implementation.load().prepare
            self._states[implementation] = prepare(self._planes, self._disparity, self._K_src, *self._photo)
        return self._states[implementation]


def expand_parts(parts: dict[str, Tensor], planes: int, size: tuple[int, int]) -> dict[str, Tensor]:
    """Parts of scenes, with one batch size; compiled kernels would read past the end of one of another shape.

    Args:
        parts: Arguments of `mine.render.render` and `mine.render.blend_source` by name, of batch size B or 1.
        planes: Number S of planes.
        size: (H, W) of the planes.

    Raises:
        InputError: One has another batch size or another shape.
    """
    shapes = {"disparity": (planes,), "K_src": (3, 3), "image": (3, *size), "photo_reach": (1, *size)}
    batch = max(part.shape[0] for part in parts.values())
    for name, part in parts.items():
        shape = shapes.get(name, tuple(part.shape[1:]))
        if part.shape[1:] != shape or part.shape[0] not in (1, batch):
            raise InputError(f"{name} has shape {tuple(part.shape)}: give {(batch, *shape)}, or 1 for the first")
    return {name: _expand(part, batch) for name, part in parts.items()}


def _expand(tensor: Tensor, batch: int) -> Tensor:
    """The tensor with its leading dimension repeated, without a copy."""
    return tensor.expand(batch, *tensor.shape[1:])
