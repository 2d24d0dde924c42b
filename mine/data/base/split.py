"""Training and test split of a data set by lists of names."""

from collections.abc import Collection
from pathlib import Path

from mine.errors import InputError


def split_names(root: Path, found: Collection[str], training: bool, kind: str) -> list[str]:
    """Names of the training or test split, as `train.txt` and `test.txt` list them, one a line.

    Args:
        root: Folder of the data set and of the lists.
        found: All names in the data set. Without `train.txt`, those that are not in `test.txt` are the training split.
        training: Whether to return the training split.
        kind: What the names are of ("scan", "drive"), for error messages.

    Raises:
        InputError: There is no `test.txt` to evaluate on, or a listed name was not found.
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
    """The names in a file, None without the file."""
    return path.read_text().split() if path.is_file() else None
