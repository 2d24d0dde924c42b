"""Samples that are kept on disk."""

from pathlib import Path

import pytest
import torch
from tiny_sample import make_sample
from torch.utils.data import Dataset

from mine.data.base.cached import CachedDataset
from mine.data.base.sample import Sample

EXACT = ("K_src", "K_tgt", "T_tgt_src", "points_src", "points_tgt", "metric")


class Counted(Dataset[Sample]):
    """Three samples, with a count of how often each was asked for; the middle one fails once."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Sample:
        self.asked.append(index)
        if self.asked == [1]:
            raise RuntimeError("disk trouble")
        sample = make_sample((16, 24), seed=index)
        sample.depth_src[:, :4] = 0
        sample.depth_src[:, 4, 0] = 1000.0
        return sample


def test_what_comes_back_is_what_was_made(tmp_path: Path) -> None:
    dataset = Counted()
    stored = CachedDataset(dataset, tmp_path / "new" / "folder")
    assert len(stored) == 3
    for _ in range(2):  # as made, then as read
        for index in (0, 2):
            sample, expected = stored[index], Counted()[index]
            for name in EXACT:
                assert torch.equal(getattr(sample, name), getattr(expected, name)), name
            for name in ("source", "target"):
                torch.testing.assert_close(
                    getattr(sample, name), getattr(expected, name), rtol=0, atol=0.5 / 255 + 1e-6
                )
            for name in ("depth_src", "depth_tgt"):
                # Eleven bits of disparity.
                torch.testing.assert_close(getattr(sample, name), getattr(expected, name), rtol=2**-10, atol=0)
            assert {value.dtype for value in sample} == {torch.float32}
    assert dataset.asked == [0, 2]


def test_unknown_depth_stays_unknown(tmp_path: Path) -> None:
    depth = CachedDataset(Counted(), tmp_path)[0].depth_src
    assert (depth[:, :4] == 0).all()
    assert (depth[:, 4:] > 0).all()


def test_a_second_run_makes_nothing_anew(tmp_path: Path) -> None:
    first = CachedDataset(Counted(), tmp_path)[2]
    dataset = Counted()
    second = CachedDataset(dataset, str(tmp_path))[2]
    assert dataset.asked == []
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_sample_that_failed_is_made_again(tmp_path: Path) -> None:
    dataset = Counted()
    stored = CachedDataset(dataset, tmp_path)
    with pytest.raises(RuntimeError):
        stored[1]
    assert list(tmp_path.iterdir()) == []
    assert stored[1].source.shape == (3, 16, 24)
    assert dataset.asked == [1, 1]


def test_files_are_small(tmp_path: Path) -> None:
    class Large(Counted):
        def __getitem__(self, index: int) -> Sample:
            return make_sample((64, 96))

    CachedDataset(Large(), tmp_path)[0]
    (file,) = tmp_path.iterdir()
    pictures_and_depths = 64 * 96 * 2 * (3 * 1 + 2)
    assert file.stat().st_size < pictures_and_depths + 8000
