"""Samples that are kept on disk."""

import os
from pathlib import Path

import pytest
import torch
from PIL import Image
from tiny_sample import make_sample
from torch.utils.data import Dataset

from mine.data.base.cache_key import claim_folder
from mine.data.base.cached import CachedDataset
from mine.data.base.sample import Sample
from mine.data.datasets.synthetic import open_scenes
from mine.errors import InputError

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


@pytest.mark.parametrize("damage", ["empty", "cut", "zeros", "other"])
def test_a_damaged_file_is_replaced(tmp_path: Path, damage: str) -> None:
    first = CachedDataset(Counted(), tmp_path)[2]
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    kinds = {"empty": b"", "cut": whole[: len(whole) // 2], "zeros": bytes(len(whole)), "other": b"PK\3\4 no sample"}
    file.write_bytes(kinds[damage])
    dataset = Counted()
    second = CachedDataset(dataset, tmp_path)[2]
    assert dataset.asked == [2]
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert file.read_bytes() == whole


def test_a_file_without_all_fields_is_replaced(tmp_path: Path) -> None:
    CachedDataset(Counted(), tmp_path)[0]
    (file,) = tmp_path.iterdir()
    torch.save({"source": torch.zeros(3, 16, 24, dtype=torch.uint8)}, file)
    assert torch.equal(CachedDataset(Counted(), tmp_path)[0].K_src, Counted()[0].K_src)


def test_files_are_small(tmp_path: Path) -> None:
    class Large(Counted):
        def __getitem__(self, index: int) -> Sample:
            return make_sample((64, 96))

    CachedDataset(Large(), tmp_path)[0]
    (file,) = tmp_path.iterdir()
    pictures_and_depths = 64 * 96 * 2 * (3 * 1 + 2)
    assert file.stat().st_size < pictures_and_depths + 8000


def scenes(
    folder: Path, seed: int = 3, textures: Path | None = None, size: tuple[int, int] = (16, 24)
) -> Dataset[Sample]:
    """Two generated scenes that are kept in a folder."""
    return open_scenes(2, seed, str(textures) if textures else None, None, str(folder), size)


def write_texture(folder: Path, name: str) -> Path:
    (folder / "wall").mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8)).save(folder / "wall" / name)
    return folder


def test_scenes_of_another_seed_size_or_texture_are_refused(tmp_path: Path) -> None:
    textures = write_texture(tmp_path / "textures", "a.png")
    CachedDataset(Counted(), tmp_path / "cache")[0]  # a sample of the same size, in place of a slow one
    scenes(tmp_path / "cache", textures=textures)
    scenes(tmp_path / "cache", textures=textures.rename(tmp_path / "moved"))
    textures = tmp_path / "moved"
    for changed, told in (
        ({"seed": 4}, "cache .*cache holds samples whose seed is 3, not 4: give another folder as `cache`, or empty"),
        ({"size": (16, 32)}, r"whose size is \[16, 24\], not \[16, 32\]"),
        ({"textures": None}, r"whose texture folder is 1 photos \(\w+\), not none"),
        ({"textures": write_texture(tmp_path / "other", "b.png")}, "whose texture folder is 1 photos"),
    ):
        with pytest.raises(InputError, match=told):
            scenes(tmp_path / "cache", **{"textures": textures} | changed)  # type: ignore[arg-type]
    write_texture(textures, "b.png")
    with pytest.raises(InputError, match=r"whose texture folder is 1 photos \(\w+\), not 2 photos"):
        scenes(tmp_path / "cache", textures=textures)


def test_an_empty_folder_takes_any_key_and_an_old_one_what_has_its_size(tmp_path: Path) -> None:
    scenes(tmp_path / "new", seed=1)
    scenes(tmp_path / "new", seed=2)
    CachedDataset(Counted(), tmp_path / "old")[0]
    with pytest.raises(InputError, match=r"size is \[16, 24\], not \[32, 32\]"):
        scenes(tmp_path / "old", size=(32, 32))
    assert scenes(tmp_path / "old", seed=7)[0].source.shape == (3, 16, 24)
    with pytest.raises(InputError, match="seed is 7, not 8"):
        scenes(tmp_path / "old", seed=8)
    (tmp_path / "old" / "key.json").write_text("[1")
    with pytest.raises(InputError, match=r"key\.json cannot be read"):
        scenes(tmp_path / "old", seed=7)


@pytest.mark.parametrize("name", ["0000000.pt", "key.json"])
def test_pipes_in_a_cache_are_not_waited_for(tmp_path: Path, name: str) -> None:
    (tmp_path / "0000000.pt").touch()
    (tmp_path / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / name)
    with pytest.raises(InputError, match=r"0000000\.pt cannot be read"):
        claim_folder(tmp_path, {"size": [4, 4]})
