"""Sparse points from depth maps, in place of those that structure from motion would know."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def sample_points(depth: Tensor, K: NDArray[np.floating], count: int, rng: np.random.Generator) -> Tensor:
    """Points (3, count), camera coordinates, at random pixels of known depth of a depth map (1, H, W).

    Raises:
        OSError: No depth is known.
    """
    y, x = torch.nonzero(depth[0], as_tuple=True)
    if not len(y):
        raise OSError("the depth map of a sample knows no depth")
    chosen = torch.from_numpy(rng.integers(len(y), size=count))
    y, x = y[chosen], x[chosen]
    return torch.from_numpy(np.linalg.inv(K)) @ torch.stack([x, y, torch.ones_like(x)]).float() * depth[0, y, x]
