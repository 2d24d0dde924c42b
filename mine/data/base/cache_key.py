"""What the samples in a cache folder are made of, in a file beside them: no other data set takes them for its own."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch

from mine.errors import InputError
from mine.files import replacing
from mine.inputs.files import open_regular, parsing, read_text

KEY_FILE = "key.json"

SAMPLES = 7 * "[0-9]" + ".pt"
"""Names of the files of samples, as a pattern."""

MAX_BYTES = 1 << 20
"""Most bytes of a key: ours have some thousand."""

REMEDY = "give another folder as `cache`, or empty this one"


def claim_folder(folder: Path, key: Mapping[str, object]) -> None:
    """Writes the key of a data set into the folder of its samples, or checks the one that is there.

    A folder without samples takes any key. Samples without a key are of before keys were written: only their size can
    be compared, and they are taken for what the first data set makes that asks for them.

    Args:
        folder: The folder, which need not exist.
        key: All that decides a sample beside its index, by name, as JSON holds it; `size` is (H, W) of the images.

    Raises:
        InputError: The folder holds other samples, or it cannot be written.
    """
    wanted = json.loads(json.dumps(key))
    first = min(folder.glob(SAMPLES), default=None)
    if first is not None:
        has_key = (folder / KEY_FILE).is_file()
        found = _read_key(folder) if has_key else wanted | {"size": _size(first)}
        for name, value in wanted.items():
            if found.get(name) != value:
                raise InputError(
                    f"cache {folder} holds samples whose {name} is {found.get(name)}, not {value}: {REMEDY}"
                )
        if has_key:
            return
    with replacing(folder / KEY_FILE) as temporary:
        temporary.write_text(json.dumps(wanted) + "\n", encoding="utf-8")


def _read_key(folder: Path) -> dict[str, object]:
    """The key that a folder has."""
    text = read_text(folder / KEY_FILE, "key of a cache", REMEDY, MAX_BYTES)
    with parsing(f"{folder / KEY_FILE} cannot be read", REMEDY):
        return dict(json.loads(text))


def _size(sample: Path) -> list[int]:
    """Height and width of a cached sample's source image."""
    with parsing(f"cached sample {sample} cannot be read", REMEDY), open_regular(sample) as file:
        return list(torch.load(file, weights_only=True)["source"].shape[-2:])
