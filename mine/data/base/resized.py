"""A data set at another resolution."""

import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from mine.data.base.sample import Sample
from mine.scene.camera import resize_intrinsics
from mine.scene.resize import resize


class Resized(Dataset[Sample]):
    """Resizes the images, intrinsics and depth maps of a data set to `size` (H, W)."""

    def __init__(self, dataset: Dataset[Sample], size: tuple[int, int]) -> None:
        self.dataset, self.size = dataset, size

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> Sample:
        sample = self.dataset[index]
        return sample._replace(
            source=resize(sample.source, self.size).clamp(0, 1),
            target=resize(sample.target, self.size).clamp(0, 1),
            K_src=resize_intrinsics(sample.K_src, sample.source.shape[-2:], self.size),
            K_tgt=resize_intrinsics(sample.K_tgt, sample.target.shape[-2:], self.size),
            depth_src=_nearest(sample.depth_src, self.size),
            depth_tgt=_nearest(sample.depth_tgt, self.size),
        )


def _nearest(depth: Tensor, size: tuple[int, int]) -> Tensor:
    """Nearest-neighbour resampling of a depth map (1, H, W): the mean of two surfaces' depths is on neither."""
    return F.interpolate(depth[None], size, mode="nearest-exact")[0]
