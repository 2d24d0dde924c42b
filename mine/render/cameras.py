"""Camera matrices of the fast renderers: composed once for each view, in double precision."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Float64
from torch import Tensor


class Cameras(NamedTuple):
    """A batch of source and target cameras, in double precision.

    With homography A and epipole b, target pixel p sees source pixel a + d (b_z a - b) of the plane of disparity d,
    where a = A p / (A p)_z.
    """

    homography: Float64[Tensor, "B 3 3"]
    """K_s Rᵀ K_t^-1: source from target pixels, of the plane at infinity"""
    epipole: Float64[Tensor, "B 3"]
    """K_s Rᵀ t"""
    unproject: Float64[Tensor, "B 3 3"]
    """K_s^-1: rays from source pixels"""
    depth_row: Float64[Tensor, "B 4"]
    """A point of source pixel p at depth z has depth z (depth_row[:3] · p) + depth_row[3] in the target camera"""

    @classmethod
    def compose(
        cls, K_src: Float[Tensor, "B 3 3"], K_tgt: Float[Tensor, "B 3 3"], T_tgt_src: Float[Tensor, "B 4 4"]
    ) -> "Cameras":
        """Composes the matrices of intrinsics and target-from-source poses."""
        K_src, K_tgt, T = (x.detach().double() for x in (K_src, K_tgt, T_tgt_src))
        R, t = T[:, :3, :3], T[:, :3, 3:]
        # Unlike `inv`, `inv_ex` does not wait for a GPU to report singular matrices.
        unproject, rays = torch.linalg.inv_ex(K_src).inverse, torch.linalg.inv_ex(K_tgt).inverse
        to_source = K_src @ R.mT
        depth_row = torch.cat([R[:, 2:] @ unproject, t[:, 2:]], dim=-1)
        return cls(to_source @ rays, (to_source @ t)[..., 0], unproject, depth_row[:, 0])


def distinct(batch: Tensor) -> Tensor:
    """The batch without repetitions: its first element alone where it is one element expanded."""
    return batch[:1] if len(batch) > 1 and batch.stride(0) == 0 else batch
