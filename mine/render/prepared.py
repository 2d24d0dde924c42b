"""A scene with what its views have in common: computed by the first view, used by all."""

from functools import cached_property
from typing import TYPE_CHECKING

from torch import Tensor

from mine.render.view import View

if TYPE_CHECKING:
    from mine.render import Backend
    from mine.render.cpu import render as cpu


class Prepared:
    """Planes and source camera of `mine.render.render`, with the state that a backend computes once for all views."""

    def __init__(self, planes: Tensor, disparity: Tensor, K_src: Tensor, detail: Tensor | None = None) -> None:
        self.planes, self.disparity, self.K_src, self.detail = planes, disparity, K_src, detail

    def render(self, K_tgt: Tensor, T_tgt_src: Tensor, size: tuple[int, int], backend: "Backend" = "auto") -> View:
        """Views from target cameras; see `mine.render.render`."""
        from mine.render import choose, render

        if backend == "auto":
            backend = choose(self.planes, self.detail, self.disparity, self.K_src, K_tgt, T_tgt_src)
            if backend == "cpu":
                return self._render_on_cpu(K_tgt, T_tgt_src, size)
        return render(self.planes, self.disparity, self.K_src, K_tgt, T_tgt_src, size, self.detail, backend)

    @cached_property
    def _cpu_state(self) -> "cpu.Prepared":
        from mine.render.cpu import render as cpu

        return cpu.prepare(self.planes, self.disparity, self.K_src, self.detail)

    def _render_on_cpu(self, K_tgt: Tensor, T_tgt_src: Tensor, size: tuple[int, int]) -> View:
        from mine.render.cpu import render as cpu

        batch = max(len(self.planes), len(T_tgt_src), len(K_tgt))
        disparity, K_src, K_tgt, T = (
            x.expand(batch, *x.shape[1:]) for x in (self.disparity, self.K_src, K_tgt, T_tgt_src)
        )
        return cpu.render_prepared(self._cpu_state, disparity, K_src, K_tgt, T, size)
