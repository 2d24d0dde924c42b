"""A data set whose samples are cached on disk, compressed to a few bytes a pixel."""

import logging
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from mine.data.base.cache_key import claim_folder
from mine.data.base.sample import Sample
from mine.errors import is_out_of_memory
from mine.files import replacing
from mine.scene.pixels import to_uint8

IMAGES = ("source", "target")
DEPTHS = ("depth_src", "depth_tgt")

log = logging.getLogger(__name__)


class CachedDataset(Dataset[Sample]):
    """Caches samples in a folder: images with 8 bits, depth maps as disparity maps in half precision.

    A file that is damaged is replaced by its sample, computed anew.

    Args:
        dataset: The data set, whose samples are computed when they are first used.
        folder: Where they are kept. Another data set needs another folder.
        key: What decides its samples beside their index, see `claim_folder`; None to leave the folder unchecked.

    Raises:
        InputError: The folder holds samples of another key.
    """

    def __init__(self, dataset: Dataset[Sample], folder: str | Path, key: Mapping[str, object] | None = None) -> None:
        self.dataset = dataset
        self.folder = Path(folder)
        if key is not None:
            claim_folder(self.folder, key)

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> Sample:
        path = self.folder / f"{index:07d}.pt"
        sample = _read(path) if path.is_file() else None
        return _write(path, self.dataset[index]) if sample is None else sample


def _read(path: Path) -> Sample | None:
    """The sample in a file; None, with a note, where the file is damaged: a full disk or a lost machine may cut it."""
    data = path.read_bytes()
    try:
        return _unpacked(data)
    except Exception as error:  # torch raises many kinds
        if is_out_of_memory(error):
            raise
        log.warning("%s is damaged (%s): its sample is made anew", path, type(error).__name__)
        return None


def _write(path: Path, sample: Sample) -> Sample:
    """Replaces a file by a sample, and returns what will be read from it."""
    packed = BytesIO()
    torch.save({name: _pack(name, value) for name, value in sample._asdict().items()}, packed)
    with replacing(path) as temporary:
        temporary.write_bytes(packed.getbuffer())
    return _unpacked(packed.getvalue())


def _unpacked(data: bytes) -> Sample:
    """The sample in the bytes of a file."""
    cached = torch.load(BytesIO(data), weights_only=True)
    return Sample(**{name: _unpack(name, value) for name, value in cached.items()})


def _pack(name: str, value: Tensor) -> Tensor:
    """A field of a sample as it is cached."""
    if name in IMAGES:
        return to_uint8(value)
    return _inverse(value).half() if name in DEPTHS else value


def _unpack(name: str, value: Tensor) -> Tensor:
    """The inverse of `_pack`, up to its rounding."""
    if name in IMAGES:
        return value.float() / 255
    return _inverse(value.float()) if name in DEPTHS else value


def _inverse(value: Tensor) -> Tensor:
    """1 / value, 0 (unknown) staying 0."""
    return torch.where(value > 0, 1 / value.clamp(min=1e-6), 0)
