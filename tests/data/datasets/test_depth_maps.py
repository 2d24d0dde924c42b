"""NYU Depth v2 and iBims-1 on miniatures of their files, and their evaluation."""

import os
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from scipy.io import savemat

from mine.config import EvalConfig
from mine.data.datasets.ibims import Ibims
from mine.data.datasets.nyu import CROP, Nyu
from mine.data.registry import evaluation_set
from mine.data.sources import FolderSource
from mine.errors import InputError
from mine.evaluation.evaluate_depth import evaluate_depth
from mine.evaluation.protocol import evaluate_config
from mine.model import Model
from mine.network.architecture import Architecture
from mine.network.planes.network import PlaneNetwork
from mine.scene.mpi import MPI

HEIGHT, WIDTH = 48, 64
CALIB = np.array([[50.0, 0, 32.5], [0, 50.0, 24.5], [0, 0, 1]])
"""Of a camera that looks at the middle: MATLAB's pixels count from 1."""


def write_ibims(folder: Path, name: str = "room", **changes: np.ndarray) -> None:
    """A wall at 3 m, a table at 2 m in the lower half, a masked window, and calibration as MATLAB has it."""
    depth = np.full((HEIGHT, WIDTH), 3.0)
    depth[24:] = 2.0
    ones, none = np.ones(depth.shape), np.zeros(depth.shape)
    wall, table, transparent, edges = none.copy(), none.copy(), ones.copy(), none.copy()
    wall[:20, :30], wall[:20, 34:], table[28:] = 1, 2, 1
    transparent[:6, :6] = 0
    edges[24] = 1
    rgb = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    data = {"rgb": rgb, "depth": depth, "edges": edges, "calib": CALIB.T, "mask_invalid": ones}
    data |= {"mask_transp": transparent, "mask_wall": wall, "mask_table": table, "mask_floor": none} | changes
    folder.mkdir(exist_ok=True)
    savemat(folder / f"{name}.mat", {"data": data})


def test_ibims_is_read(tmp_path: Path) -> None:
    write_ibims(tmp_path / "a")
    dataset = Ibims(tmp_path / "a")
    item = dataset[0]
    assert len(dataset) == 1 and item.image.shape == (3, HEIGHT, WIDTH) and 0.9 < item.image.max() <= 1
    torch.testing.assert_close(item.K, torch.tensor([[50, 0, (WIDTH - 1) / 2], [0, 50, (HEIGHT - 1) / 2], [0, 0, 1]]))
    assert (item.depth[:6, :6] == 0).all() and item.depth[10, 20] == 3 and item.depth[30, 0] == 2
    assert item.regions is not None and item.edges is not None
    assert [int(item.regions[y, x]) for y, x in ((2, 10), (2, 40), (40, 3), (23, 3))] == [1, 2, 3, 0]
    assert item.edges[24].all() and item.edges.sum() == WIDTH
    write_ibims(tmp_path / "a", "other way", calib=CALIB)
    torch.testing.assert_close(dataset[0].K, Ibims(tmp_path / "a")[0].K)


def test_ibims_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no \*.mat"):
        Ibims(tmp_path)
    write_ibims(tmp_path, edges=np.zeros((3, 4)))
    with pytest.raises(InputError, match="differ in size"):
        Ibims(tmp_path)[0]
    savemat(tmp_path / "room.mat", {"data": 3})
    with pytest.raises(InputError, match="no readable file"):
        Ibims(tmp_path)[0]
    (tmp_path / "room.mat").write_bytes(b"nothing")
    with pytest.raises(InputError, match="cannot be read"):
        Ibims(tmp_path)[0]


@pytest.mark.parametrize(
    "change",
    [
        {"calib": np.ones(3)},
        {"calib": "text"},
        {"calib": np.zeros((2, 2))},
        {"calib": np.zeros((3, 3))},
        {"calib": np.full((3, 3), np.nan)},
        {"depth": np.full((HEIGHT, WIDTH), "x")},
        {"depth": np.full((HEIGHT, WIDTH), np.nan)},
        {"depth": np.full((HEIGHT, WIDTH), 1e300)},
        {"edges": np.full((HEIGHT, WIDTH), "x", object)},
        {"mask_wall": np.full((HEIGHT, WIDTH), np.inf)},
        {"mask_wall": np.full((HEIGHT, WIDTH), 1e18)},
        {"rgb": np.zeros((HEIGHT, WIDTH, 3))},
        {"rgb": np.zeros((HEIGHT, WIDTH, 3), np.uint8) * 1j},
    ],
    ids=lambda change: " ".join(change),
)
def test_ibims_of_other_types_and_shapes_is_one_line(tmp_path: Path, change: dict[str, np.ndarray]) -> None:
    write_ibims(tmp_path, **change)
    with pytest.raises(InputError, match=r"room\.mat.*: (unpack|put)") as caught:
        Ibims(tmp_path)[0]
    assert "\n" not in str(caught.value)


def write_nyu(folder: Path, test: tuple[int, ...] = (2, 3)) -> None:
    """Three pictures as MATLAB stores them, columns first; depth is the picture's number plus a slope to the right."""
    with h5py.File(folder / "nyu_depth_v2_labeled.mat", "w") as file:
        images = file.create_dataset("images", (3, 3, 640, 480), np.uint8)
        depths = file.create_dataset("depths", (3, 640, 480), np.float32)
        for number in range(3):
            images[number] = 50 * number
            depths[number] = number + 1 + np.arange(640)[:, None] / 1000
    savemat(folder / "splits.mat", {"testNdxs": np.array(test)[:, None]})


def test_nyu_is_read_and_cropped(tmp_path: Path) -> None:
    write_nyu(tmp_path)
    dataset = Nyu(tmp_path)
    item = dataset[0]
    assert len(dataset) == 2 and item.image.shape == (3, 480, 640)
    assert float(item.image[0, 0, 0]) == pytest.approx(50 / 255)
    assert item.depth[100, 300] == pytest.approx(2.3)
    assert (item.depth > 0).sum() == 426 * 560 and (item.depth[CROP] > 0).all()
    h5py.File(tmp_path / "nyu_depth_v2_labeled.mat", "a").close()  # which fails while the file is open


def test_nyu_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no list of NYU Depth v2 at .*splits\.mat"):
        Nyu(tmp_path)
    write_nyu(tmp_path, test=(4,))
    with pytest.raises(InputError, match="does not fit"):
        Nyu(tmp_path)
    with h5py.File(tmp_path / "nyu_depth_v2_labeled.mat", "a") as file:  # which fails while the file is open
        del file["depths"]
    with pytest.raises(InputError, match="has no readable depths"):
        Nyu(tmp_path)
    (tmp_path / "nyu_depth_v2_labeled.mat").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"labeled\.mat cannot be read"):
        Nyu(tmp_path)
    (tmp_path / "nyu_depth_v2_labeled.mat").unlink()
    os.mkfifo(tmp_path / "nyu_depth_v2_labeled.mat")
    with pytest.raises(InputError, match=r"labeled\.mat cannot be read \(it is a pipe"):
        Nyu(tmp_path)
    with pytest.raises(InputError, match=r"choose .*ibims, .*nyu"):
        evaluation_set(FolderSource(kind="nyu-depth", root=str(tmp_path)), (128, 128))


NYU_FRAME = (3, 3, 640, 480)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("images", {"data": [b"a", b"b"]}),
        ("images", {"shape": NYU_FRAME, "dtype": np.float64}),
        ("images", {"shape": (3, 3, 64, 48), "dtype": np.uint8}),
        ("images", {"shape": (), "dtype": np.uint8}),
        ("images", {"shape": (300, *NYU_FRAME[1:]), "dtype": np.uint8, "chunks": (300, *NYU_FRAME[1:])}),
        ("images", {"shape": NYU_FRAME, "dtype": np.uint8, "external": [("/dev/zero", 0, 3 * 3 * 640 * 480)]}),
        ("depths", {"shape": (3, 640), "dtype": np.float32}),
        ("depths", {"shape": (3, 640, 480), "dtype": ">f4"}),
        ("depths", {"data": h5py.ExternalLink("other.mat", "/depths")}),
    ],
)
def test_nyu_of_other_types_and_shapes_is_one_line(tmp_path: Path, name: str, options: dict[str, object]) -> None:
    write_nyu(tmp_path)
    with h5py.File(tmp_path / "nyu_depth_v2_labeled.mat", "a") as file:
        del file[name]
        if isinstance(options.get("data"), h5py.ExternalLink):
            file[name] = options["data"]
        else:
            file.create_dataset(name, **options)
    with pytest.raises(InputError, match=f"has no readable {name} ") as caught:
        Nyu(tmp_path)
    assert "\n" not in str(caught.value)


def test_damaged_and_empty_photos_of_nyu_are_told(tmp_path: Path) -> None:
    write_nyu(tmp_path)
    with h5py.File(tmp_path / "nyu_depth_v2_labeled.mat", "a") as file:
        file["depths"][1] = 0
        images = file["images"][()] + np.random.default_rng(0).integers(0, 9, NYU_FRAME, np.uint8)
        del file["images"]
        file.create_dataset("images", data=images, chunks=(1, 3, 640, 480), compression=1)
        chunk = file["images"].id.get_chunk_info(2)
    with pytest.raises(InputError, match="photo 2 has no known depth"):
        Nyu(tmp_path)[0]
    with (tmp_path / "nyu_depth_v2_labeled.mat").open("r+b") as stored:
        stored.seek(chunk.byte_offset + chunk.size // 2)
        stored.write(bytes(1000))
    with pytest.raises(InputError, match="photo 3 cannot be read"):
        Nyu(tmp_path)[1]


def test_the_true_depth_in_another_unit_has_no_error(tmp_path: Path) -> None:
    write_ibims(tmp_path)
    true = Ibims(tmp_path)[0]

    def predictor(image: torch.Tensor, K: torch.Tensor) -> MPI:
        """Solid planes at both depths, in units of 4 metres."""
        disparity = torch.tensor([4 / 2.0, 4 / 3.0])
        solid = torch.stack([torch.arange(HEIGHT)[:, None].expand(HEIGHT, WIDTH) >= 24, torch.ones(HEIGHT, WIDTH) > 0])
        return MPI(image.expand(2, *image.shape), 1e5 * solid[:, None].float(), disparity, true.K)

    mean = evaluate_depth(predictor, Ibims(tmp_path), backend="reference", progress=False).mean()
    right, flat = mean["prediction"], mean["one plane"]
    assert right["rel"] < 1e-3 and right["rms"] < 1e-2 and right["delta1"] == 1
    assert right["plan"] < 0.1 and right["orie"] < 0.1 and right["dbe_acc"] <= 1 and right["dbe_comp"] <= 1
    assert flat["rel"] > 0.1 and flat["dbe_comp"] == 10


def test_a_configuration_names_the_measured_depth(tmp_path: Path) -> None:
    write_ibims(tmp_path)
    torch.manual_seed(0)
    model = Model(PlaneNetwork(Architecture(encoder="resnet18", widths=(4, 4, 8, 8, 8), bottleneck=(8, 8))))
    config = EvalConfig(FolderSource(kind="ibims", root=str(tmp_path)), size=(128, 128), planes=3)
    report = evaluate_config(model, config, brief=True)
    assert list(report.mean()) == ["prediction"] and 0 < report.scenes()["ibims"]["prediction"]["rms"] < 10
