"""What the fast renderers know of their cameras before they look at a pixel."""

from typing import NamedTuple

import torch
from torch import Tensor


class Cameras(NamedTuple):
    """Pairs of a source and a target camera, in double precision.

    The kernels' files say what they are for. A point of source pixel p at depth z has depth z (row[:3] · p) + row[3] in
    the target camera.
    """

    homography: Tensor
    """(B, 3, 3) K_s Rᵀ K_t^-1: source from target pixels, at infinity"""
    epipole: Tensor
    """(B, 3) K_s Rᵀ t"""
    unproject: Tensor
    """(B, 3, 3) K_s^-1"""
    row: Tensor
    """(B, 4)"""

    @classmethod
    def compose(cls, K_src: Tensor, K_tgt: Tensor, T_tgt_src: Tensor) -> "Cameras":
        """From intrinsics (B, 3, 3) and poses (B, 4, 4)."""
        K_src, K_tgt, T = (x.detach().double() for x in (K_src, K_tgt, T_tgt_src))
        R, t = T[:, :3, :3], T[:, :3, 3:]
        # Unlike `inv`, `inv_ex` does not wait for a GPU to say whether a matrix is singular.
        unproject, rays = torch.linalg.inv_ex(K_src).inverse, torch.linalg.inv_ex(K_tgt).inverse
        to_source = K_src @ R.mT
        row = torch.cat([R[:, 2:] @ unproject, t[:, 2:]], dim=-1)
        return cls(to_source @ rays, (to_source @ t)[..., 0], unproject, row[:, 0])


def distinct(batch: Tensor) -> Tensor:
    """The batch without repetitions: its first element alone where it is one element expanded."""
    return batch[:1] if len(batch) > 1 and batch.stride(0) == 0 else batch
