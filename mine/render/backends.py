"""The table of backends, and which of them renders a call: the first that supports it.

A backend is a module with the function `render` of `mine.render.reference`; it must return what that one returns. To
add one, write the module and enter it in `BACKENDS`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from mine.errors import InputError

Backend = Literal["auto", "reference", "cpu", "triton"]
"""Name of a backend; "auto" is the first in `BACKENDS` that supports the call."""


class Call(NamedTuple):
    """The properties of a call of `render` or `blend_source` that decide which backend computes it."""

    device: str
    """Type of the planes' device: "cpu", "cuda", ..."""
    dtype: torch.dtype
    """Type of the planes"""
    gradients: frozenset[str]
    """Inputs whose gradients autograd records: "planes", "image" (photo or its detail), "cameras" (with disparities)"""
    detail: bool
    """Whether the photo's detail is rendered"""

    @classmethod
    def describe(cls, planes: Tensor, image: Tensor | None, *cameras: Tensor, detail: bool) -> "Call":
        """The properties of a call with these tensors; disparities count as cameras."""
        inputs = {"planes": (planes,), "image": () if image is None else (image,), "cameras": cameras}
        recorded = {name for name, tensors in inputs.items() if any(x.requires_grad for x in tensors)}
        gradients = frozenset(recorded if torch.is_grad_enabled() else ())
        return cls(planes.device.type, planes.dtype, gradients, detail)


@dataclass(frozen=True)
class Implementation:
    """One row of `BACKENDS`: a module and what it supports; None stands for any."""

    backend: Backend
    module: str
    devices: frozenset[str] | None = None
    dtypes: frozenset[torch.dtype] | None = None
    gradients: frozenset[str] = frozenset()
    detail: bool = True
    requires: str | None = None
    """Package without which it does not run"""
    prepares: bool = False
    """Whether the module has `prepare` and `render_prepared`, for state that all views of a scene share"""
    blend_source: str | None = None
    """The module's function for `mine.render.blend_source`, if it has one"""

    def differentiates(self, call: Call) -> bool:
        """Whether it computes the gradients that a call records."""
        return call.gradients <= self.gradients and (self.detail or not call.detail)

    def supports(self, call: Call) -> bool:
        """Whether it computes a call here, at the call's own precision."""
        return (
            self.differentiates(call)
            and (self.devices is None or call.device in self.devices)
            and (self.dtypes is None or call.dtype in self.dtypes)
            and (self.requires is None or find_spec(self.requires) is not None)
        )

    def load(self) -> ModuleType:
        """The module, imported on first use: compilers take seconds to start."""
        return import_module(self.module)


BACKENDS = (
    Implementation(
        "triton",
        "mine.render.triton.render",
        devices=frozenset({"cuda"}),
        dtypes=frozenset({torch.float32, torch.float16, torch.bfloat16}),
        gradients=frozenset({"planes", "image"}),
        requires="triton",
    ),
    Implementation(
        "cpu",
        "mine.render.cpu.render",
        devices=frozenset({"cpu", "mps"}),
        prepares=True,
        blend_source="blend_source_",
    ),
    Implementation(
        "cpu",
        "mine.render.cpu.gradients",
        devices=frozenset({"cpu"}),
        dtypes=frozenset({torch.float32}),
        gradients=frozenset({"planes"}),
        detail=False,
        blend_source="blend_source",
    ),
    Implementation(
        "reference",
        "mine.render.reference",
        gradients=frozenset({"planes", "image", "cameras"}),
        blend_source="blend_source",
    ),
)
"""From the fastest to the reference, which supports every call."""

_default: Backend = "auto"


@contextmanager
def use_backend(backend: Backend) -> Iterator[None]:
    """Makes `backend` the default, in place of "auto", in a `with` block and in all threads.

    Example:
        with mine.render.use_backend("reference"):
            view = scene.render(T)
    """
    global _default
    _check(backend)
    before, _default = _default, backend
    try:
        yield
    finally:
        _default = before


def find_implementation(call: Call, backend: Backend = "auto") -> Implementation:
    """The row of `BACKENDS` that renders a call.

    A backend that is requested by name need not support the device: its module reports what is missing.

    Raises:
        InputError: No backend has this name, or the one that has does not compute the gradients.
    """
    _check(backend)
    name = _default if backend == "auto" else backend
    if name == "auto":
        return next(row for row in BACKENDS if row.supports(call))
    for row in BACKENDS:
        if row.backend == name and row.differentiates(call):
            return row
    inputs = ", ".join(sorted(call.gradients)) + (" of a scene with detail" if call.detail else "")
    raise InputError(f'backend "{name}" has no gradients of {inputs}: use backend="reference", or torch.no_grad()')


def find_blend_source(call: Call) -> Implementation:
    """The row of `BACKENDS` that blends the source image into planes; the reference where the default cannot."""
    rows = [row for row in BACKENDS if row.blend_source and row.supports(call)]
    if _default != "auto":
        rows = [row for row in rows if row.backend == _default] or rows[-1:]
    return rows[0]


def _check(backend: str) -> None:
    """Raises InputError for a name that no backend has."""
    if backend not in get_args(Backend):
        raise InputError(f"unknown backend {backend!r}: choose one of {', '.join(get_args(Backend))}")
