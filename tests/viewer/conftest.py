"""The page that the viewer's tests open."""

from pathlib import Path

import pytest

from mine.output.export import export
from mine.scene.mpi import MPI


@pytest.fixture(scope="module")
def page_file(scene: MPI, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of each file's own `scene`."""
    path = tmp_path_factory.mktemp("viewer") / "scene.html"
    export(scene, path)
    return path
