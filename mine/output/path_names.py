"""Names of camera paths and of ways along them, known without torch."""

from pathlib import Path

from mine.output.key_poses import PATH_NAMES

EASINGS = ("linear", "in", "out", "in-out")
"""How a path's speed changes: not at all, from rest, to rest, or both."""

OPEN = ("line",)
"""Paths of `PATH_NAMES` that do not loop by themselves."""

__all__ = ["EASINGS", "OPEN", "PATH_NAMES", "split_names"]


def split_names(names: str) -> list[str]:
    """The names of joined paths, such as swing+zoom; a file's name may have a plus itself."""
    return [names] if Path(names).is_file() else [name.strip() for name in names.split("+")]
