"""Which part of a data set to use, where lists of names beside it say so."""

from collections.abc import Collection
from pathlib import Path

from mine.errors import InputError


def split_names(root: Path, found: Collection[str], training: bool, kind: str) -> list[str]:
    """Names of the training or the evaluation part of a data set in `root`.

    `train.txt` and `test.txt` in it name its scans, drives, ... (`kind`), one a line; without `train.txt` training
    takes all that were `found` and are not in `test.txt`.

    Raises InputError for an evaluation without `test.txt`, and for a name that was not found.
    """
    test = _listed(root / "test.txt")
    names = _listed(root / "train.txt") if training else test
    if names is None and not training:
        raise InputError(f"no {root / 'test.txt'}: name the {kind}s to evaluate on in it, one a line")
    names = names if names is not None else [name for name in found if name not in (test or [])]
    if missing := [name for name in names if name not in found]:
        raise InputError(f"{kind} {missing[0]} is not in {root}: unpack it, or take it off the list")
    return names


def _listed(path: Path) -> list[str] | None:
    return path.read_text().split() if path.is_file() else None
