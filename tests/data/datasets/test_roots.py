"""Folders of data sets that are none, or that cannot be looked into."""

from collections.abc import Callable
from pathlib import Path

import pytest
from permissions import permissions_count

from mine.data.datasets.colmap import open_captures
from mine.data.datasets.depth_photos import DepthPhotos
from mine.data.datasets.dtu import Dtu
from mine.data.datasets.flowers import Flowers
from mine.data.datasets.ibims import Ibims
from mine.data.datasets.kitti import Kitti
from mine.data.datasets.nyu import Nyu
from mine.data.datasets.realestate10k import RealEstate10K
from mine.data.datasets.rgbd import Rgbd
from mine.data.sfm.reconstruct import image_names
from mine.errors import InputError

READERS: dict[str, Callable[[str], object]] = {
    "captures": lambda root: open_captures(root, (), (64, 96)),
    "capture": lambda root: open_captures(root, ["a"], (64, 96)),
    "pictures": lambda root: image_names(Path(root)),
    **{kind.__name__: kind for kind in (DepthPhotos, Dtu, Flowers, Ibims, Kitti, Nyu, RealEstate10K, Rgbd)},
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(
    "root", ["x" * 300, "a\0b", "\ud800", "/dev/null"], ids=["long", "zero", "surrogate", "device"]
)
def test_what_is_no_folder_is_one_line(name: str, root: str) -> None:
    with pytest.raises(InputError) as caught:
        READERS[name](root)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("below", ["", "below"])
def test_what_cannot_be_looked_into_is_one_line(tmp_path: Path, name: str, below: str) -> None:
    (tmp_path / "closed").mkdir(mode=0o000)
    told = r"closed.* cannot be read \(Permission denied\)"
    with permissions_count(), pytest.raises(InputError, match=told) as caught:
        READERS[name](str(tmp_path / "closed" / below))
    assert "\n" not in str(caught.value)
