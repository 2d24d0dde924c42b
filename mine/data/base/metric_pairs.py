"""Image pairs in a unit of length of the data set's own, without points: the base class of such data sets."""

from pathlib import Path

from mine.data.arrays import Size
from mine.data.base.image_pairs import ImagePairs


class MetricPairs(ImagePairs):
    """Base class of data sets whose `metric` is 1; derived classes read them in `read`.

    Args:
        root: Folder of the data set.
        size: (H, W) of the samples, in pixels.
        training: Whether this is the training split.
        seed: Seed of training samples; a sample depends on (seed, index) alone.
        epochs: Different samples of each source in training.
        targets: Target views of each source view.
    """

    def __init__(
        self,
        root: str | Path,
        size: Size = (256, 384),
        training: bool = True,
        seed: int = 0,
        epochs: int = 100,
        targets: int = 1,
    ) -> None:
        super().__init__(size, training, points=0, metric=True, targets=targets)
        self.root, self.seed = Path(root), seed
        self.length = self.read() * (epochs if training else 1)

    def __len__(self) -> int:
        return self.length

    def read(self) -> int:
        """Finds what is in the folder.

        Returns:
            The number of sources, in evaluation that of pairs.

        Raises:
            InputError: It cannot be read.
        """
        raise NotImplementedError
