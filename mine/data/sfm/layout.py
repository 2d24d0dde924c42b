"""Where COLMAP's reconstruction lies in a capture; known without COLMAP, so that mistakes are told at once."""

import os
from pathlib import Path


def model_folder(folder: Path) -> Path | None:
    """Folder of the reconstruction of the capture in `folder`, None if it has none."""
    for name in ("sparse/0", "sparse"):
        files = [folder / name / f"images.{ending}" for ending in ("bin", "txt")]
        if any(map(os.path.isfile, files)):  # False, unlike Path's, for names too long to exist
            return folder / name
    return None
