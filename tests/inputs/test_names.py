"""Files whose names are not UTF-8 are read and written as any others."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from small_scene import make_scene

import mine
from mine.inputs.names import as_text, utf8_name
from mine.scene.depth_maps.read import read_depth
from mine.scene.mpi import MPI

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="names are UTF-8 by the system's rules")

ODD = os.fsdecode(b"caf\xe9")


@pytest.fixture(params=[f"{ODD}.", f"{ODD}/a."], ids=["file", "folder"])
def stem(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A path up to the ending, whose file or folder has such a name."""
    (tmp_path / ODD).mkdir()
    return f"{tmp_path}/{request.param}"


def test_names_of_open_files_lead_to_them(stem: str, tmp_path: Path) -> None:
    Path(f"{stem}txt").write_text("content")
    with utf8_name(f"{stem}txt") as name:
        name.encode()
        assert Path(name).read_text() == "content"
    with utf8_name(tmp_path / "Straße") as name:
        assert name == str(tmp_path / "Straße")


def test_names_as_text() -> None:
    assert as_text(f"{ODD} Straße") == "caf\N{REPLACEMENT CHARACTER} Straße"


def test_scenes_are_read(stem: str) -> None:
    scene = make_scene()
    scene.save(f"{stem}mpi", half=False)
    torch.testing.assert_close(MPI.open(f"{stem}mpi").planes, scene.planes)


def test_depth_in_floats_is_written_and_read(stem: str) -> None:
    pytest.importorskip("OpenEXR")
    scene = make_scene()
    mine.export(scene, f"{stem}exr")
    depth = read_depth(f"{stem}exr").values
    assert depth.shape == scene.size and np.isfinite(depth).all()


def test_a_page_has_the_readable_part_for_its_title(stem: str) -> None:
    mine.export(make_scene(), f"{stem}html")
    page = Path(f"{stem}html").read_text(encoding="utf-8")
    assert f"<title>{as_text(Path(f'{stem}html').stem)}</title>" in page
