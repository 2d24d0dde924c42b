"""Training and test split of a data set by lists of names."""

from collections.abc import Collection
from pathlib import Path

from mine.errors import InputError
from mine.inputs.files import read_text, shorten
from mine.inputs.folders import is_file

MAX_BYTES = 1 << 24
"""Most bytes of a list: a million names."""


def split_names(root: Path, found: Collection[str], training: bool, kind: str) -> list[str]:
    """Names of the training or test split, as `train.txt` and `test.txt` list them, one a line.

    Args:
        root: Folder of the data set and of the lists.
        found: All names in the data set. Without `train.txt`, those that are not in `test.txt` are the training split,
            and all names in `test.txt` must be found: one with a slip in it would be trained on.
        training: Whether to return the training split.
        kind: What the names are of ("scan", "drive"), for error messages.

    Raises:
        InputError: There is no `test.txt` to evaluate on, a list is no UTF-8 text, or a listed name was not found.
    """
    test = _listed(root / "test.txt")
    names = _listed(root / "train.txt") if training else test
    if names is None and not training:
        raise InputError(f"no {root / 'test.txt'}: name the {kind}s to evaluate on in it, one a line")
    listed = names if names is not None else test or []
    if missing := [name for name in listed if name not in found]:
        names_told = shorten(", ".join(missing[:3])) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        raise InputError(f"{kind} {names_told} is not in {root}: unpack it, or correct its name in the list")
    return names if names is not None else [name for name in found if name not in listed]


def _listed(path: Path) -> list[str] | None:
    """The names in a file, None without the file."""
    return read_text(path, "list", "write it as UTF-8 text", MAX_BYTES).split() if is_file(path) else None
