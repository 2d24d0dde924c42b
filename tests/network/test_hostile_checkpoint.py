"""Checkpoints that are not what they should be: one line each, without a connection and without much memory."""

import io
import json
import os
import re
import socket
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, safe_open, save_file

from mine.errors import InputError
from mine.inputs import weights
from mine.network.architecture import Architecture
from mine.network.checkpoint import FORMAT, load_network, save_network
from mine.network.planes import plain_weights
from mine.network.planes.network import PlaneNetwork
from mine.network.planes.published_checkpoint import disparity_range


@pytest.fixture(scope="module")
def network() -> PlaneNetwork:
    return PlaneNetwork(Architecture("resnet18", widths=(4, 4, 8, 8, 8), bottleneck=(8, 8)))


@pytest.fixture
def ours(network: PlaneNetwork, tmp_path: Path) -> Path:
    path = tmp_path / "network.safetensors"
    save_network(network, path, half=True)
    return path


def rewrite_metadata(path: Path, architecture: str | None) -> None:
    """Gives a checkpoint of ours another text for its architecture, or none."""
    metadata = {"format": FORMAT} | ({} if architecture is None else {"architecture": architecture})
    save_file(load_file(path), path, metadata=metadata)


ENTRIES: dict[str, object] = {
    "encoder": "resnet18",
    "widths": [4, 4, 8, 8, 8],
    "bottleneck": [8, 8],
    "decoder": "planes",
}


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("encoder", [None, 3, ["resnet18"], {}, "", "nobody", "x" * 10000, "resnet18\n"]),
        ("encoder", ["hf-hub:owner/name", "hf_hub:owner/name", "local-dir:/tmp", "hf-hub:timm/resnet18.a1_in1k"]),
        ("encoder", ["timm/resnet18", "../resnet18", "resnet18.no_such_tag", "vit_tiny_patch16_224", "resnet18:x"]),
        ("decoder", [None, 3, [], {}, "nobody", ["planes"]]),
        ("widths", [None, 3, "44888", {}, [], [4] * 4, [4] * 6, [4, 4, 8, 8, "8"], [4, 4, 8, 8, 8.0]]),
        ("widths", [[0] * 5, [-1] * 5, [True] * 5, [10**9] * 5, [10**400] * 5, [[4]] * 5]),
        ("bottleneck", [None, 3, [8], [8, 8, 8], [8, None], [8, 0], [8, 2**31]]),
        ("unknown", [1]),
    ],
)
def test_architectures_that_make_no_network(ours: Path, key: str, values: list[object]) -> None:
    for value in values:
        rewrite_metadata(ours, json.dumps(ENTRIES | {key: value}))
        with pytest.raises(InputError, match=r"network\.safetensors is not a readable checkpoint") as error:
            load_network(ours)
        assert "\n" not in str(error.value) and len(str(error.value)) < 500


@pytest.mark.parametrize(
    "text", [None, "", "{", "null", "[]", "3", '"text"', "[" * 100_000, '{"a":' * 100_000, "9" * 5000]
)
def test_metadata_that_is_no_architecture(ours: Path, text: str | None) -> None:
    rewrite_metadata(ours, text)
    with pytest.raises(InputError, match=r"network\.safetensors is not a readable checkpoint") as error:
        load_network(ours)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        *("", "null", "1", "{}", "[]", "[1]", "[1, 1]", "[0.1, 1]", "[1, 0]", "[1, 0.5, 0.1]", "[1, 0.5, null]"),
        *("[NaN, 0.1]", "[true, 0.1]", '["1", "0.1"]', "[Infinity, 1]"),
        *(f"[1{'0' * 400}, 1]", "[" * 100_000, f"[1{', 1' * 10_000}]"),
    ],
)
def test_disparities_that_are_no_range(ours: Path, text: str) -> None:
    metadata = {"format": FORMAT, "architecture": json.dumps(ENTRIES), "disparities": text}
    save_file(load_file(ours), ours, metadata=metadata)
    with pytest.raises(InputError, match=r"network\.safetensors is not a readable checkpoint") as error:
        load_network(ours)
    assert "\n" not in str(error.value) and len(str(error.value)) < 500


def test_loading_a_checkpoint_opens_no_connection(ours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With prefixed names timm asks a server, or reads a folder, when the model is made."""

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    timm = pytest.importorskip("timm")
    monkeypatch.setattr(timm, "create_model", refuse)
    for name in ("hf-hub:owner/name", "hf_hub:owner/name", "local-dir:.", "hf-hub:timm/resnet18.a1_in1k"):
        rewrite_metadata(ours, json.dumps(ENTRIES | {"encoder": name}))
        with pytest.raises(InputError, match="unknown to timm"):
            load_network(ours)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(ours: Path, bad: float) -> None:
    weights = load_file(ours)
    key = next(key for key, value in weights.items() if value.is_floating_point())
    weights[key].view(-1)[0] = bad
    with safe_open(ours, "pt") as file:
        metadata = file.metadata()
    save_file(weights, ours, metadata=metadata)
    with pytest.raises(InputError, match=f"{re.escape(repr(key))} has values that are not finite"):
        load_network(ours)
    save_file(weights | {key: weights[key].to(torch.complex64)}, ours, metadata=metadata)
    with pytest.raises(InputError, match=r"has type torch\.complex64"):
        load_network(ours)


def test_variances_below_0(ours: Path) -> None:
    """Their roots, and all predictions, would not be numbers."""
    weights = load_file(ours)
    key = next(key for key in weights if key.endswith("running_var"))
    weights[key][-1] = -1.0
    with safe_open(ours, "pt") as file:
        metadata = file.metadata()
    save_file(weights, ours, metadata=metadata)
    with pytest.raises(InputError, match=f"{re.escape(repr(key))} has variances below 0: train it again"):
        load_network(ours)


def test_weights_of_other_types_are_checked_as_what_they_become(ours: Path) -> None:
    """A float64 may be beyond float32, and torch computes nothing of a float8."""
    weights = load_file(ours)
    key = next(key for key, value in weights.items() if value.is_floating_point())
    with safe_open(ours, "pt") as file:
        metadata = file.metadata()
    save_file(weights | {key: weights[key].double()}, ours, metadata=metadata)
    assert torch.equal(load_network(ours).state_dict()[key], weights[key].float())
    save_file(weights | {key: torch.full_like(weights[key], 1e300, dtype=torch.float64)}, ours, metadata=metadata)
    with pytest.raises(InputError, match=f"{re.escape(repr(key))} has values that are not finite"):
        load_network(ours)
    for dtype in (torch.float8_e4m3fn, torch.float8_e5m2):
        save_file(weights | {key: weights[key].to(dtype)}, ours, metadata=metadata)
        assert torch.equal(load_network(ours).state_dict()[key], weights[key].to(dtype).float())
        save_file(weights | {key: torch.full_like(weights[key], torch.nan).to(dtype)}, ours, metadata=metadata)
        with pytest.raises(InputError, match="not finite"):
            load_network(ours)


def test_no_network_is_made_for_weights_of_other_shapes(ours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded by the file: layers are compared without memory before the network is made."""
    made: list[torch.device] = []
    init = torch.nn.Conv2d.__init__

    def count(self: torch.nn.Conv2d, *arguments: object, **options: object) -> None:
        init(self, *arguments, **options)  # type: ignore[arg-type]
        made.append(self.weight.device)

    monkeypatch.setattr(torch.nn.Conv2d, "__init__", count)
    rewrite_metadata(ours, json.dumps(ENTRIES | {"widths": [4096] * 5, "bottleneck": [4096] * 2}))
    with pytest.raises(InputError, match="another model"):
        load_network(ours)
    assert {device.type for device in made} == {"meta"}


class Asks:
    """Unpickling it calls a function that torch takes for harmless, and which takes as much memory as it is told."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[object, ...]:
        return self.function, self.arguments


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(
    "backbone",
    [Asks(bytearray, 10), Asks(set, [1]), torch.device("cpu"), torch.float32, torch.eye(2).to_sparse(), {1}, b"bytes"],
    ids=["bytearray", "set-by-call", "device", "dtype", "sparse", "set", "bytes"],
)
def test_pickles_that_name_more_than_weights_are_refused(tmp_path: Path, backbone: object, legacy: bool) -> None:
    path = tmp_path / "checkpoint.pth"
    torch.save({"backbone": backbone, "decoder": {}}, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(InputError, match="it holds more than weights"):
        load_network(path)


@pytest.mark.parametrize("legacy", [False, True])
def test_keys_that_take_for_ever_to_hash_are_refused(tmp_path: Path, legacy: bool) -> None:
    key: tuple[object, ...] = ("a",)
    for _ in range(100):
        key = (key, key)
    path = tmp_path / "checkpoint.pth"
    # A list holds the pair, since a dictionary with this key cannot even be made; REDUCE makes one of it.
    torch.save({"backbone": Pairs([(key, 1)]), "decoder": {}}, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(InputError, match="nests tuples"):
        load_network(path)


class Pairs:
    """Unpickling it makes an OrderedDict of pairs."""

    def __init__(self, pairs: list[object]) -> None:
        self.pairs = pairs

    def __reduce__(self) -> tuple[object, ...]:
        return OrderedDict, (self.pairs,)


def test_compressed_archives_are_refused_before_they_are_unfolded(tmp_path: Path) -> None:
    path, bomb = tmp_path / "checkpoint.pth", tmp_path / "bomb.pth"
    torch.save({"backbone": {"a": torch.zeros(1000)}, "decoder": {}}, path)
    with zipfile.ZipFile(path) as plain, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as packed:
        for entry in plain.namelist():
            packed.writestr(entry, plain.read(entry))
    with pytest.raises(InputError, match="archive is compressed"):
        load_network(bomb)


def test_an_argument_longer_than_a_pickle_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pickle tells the length of a text in front of the text."""
    reads: list[int] = []

    class File(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            reads.append(len(data))
            return data

    monkeypatch.setattr(plain_weights, "MAX_PICKLE", 1000)
    with pytest.raises(InputError, match="longer than 1000 bytes"):
        plain_weights.check_pickles(File(b"\x80\x02X" + (5000).to_bytes(4, "little") + bytes(6000)))
    assert max(reads) == 1001


def test_archives_of_too_many_entries_or_too_long_a_pickle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "checkpoint.pth"
    torch.save({"backbone": {f"{number}": torch.zeros(1) for number in range(20)}, "decoder": {}}, path)
    monkeypatch.setattr(plain_weights, "MAX_DIRECTORY", 1000)
    with pytest.raises(InputError, match="more entries than weights"):
        load_network(path)
    monkeypatch.setattr(plain_weights, "MAX_DIRECTORY", 1 << 20)
    monkeypatch.setattr(plain_weights, "MAX_PICKLE", 500)
    with pytest.raises(InputError, match="pickle is longer than 500 bytes"):
        load_network(path)


def test_a_header_of_safetensors_is_bounded(ours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "LONGEST_HEADER", 100)
    with pytest.raises(InputError, match="more than 100"):
        load_network(ours)


@pytest.mark.parametrize(
    "state",
    [
        {"backbone": [1], "decoder": {}},
        {"backbone": None, "decoder": {}},
        {"backbone": torch.zeros(1), "decoder": {}},
        {"backbone": {1: torch.zeros(1)}, "decoder": {}},
        {"backbone": {None: torch.zeros(1)}, "decoder": {}},
        {"backbone": {"module.encoder.conv1.weight": 3}, "decoder": {}},
        {"backbone": {"module.encoder.conv1.weight": [torch.zeros(1)]}, "decoder": {}},
        {"backbone": {"x" * 10000: torch.zeros(1)}, "decoder": {"y\n": torch.zeros(1)}},
        {("backbone",): {}, "decoder": {}},
        None,
        torch.zeros(3),
    ],
    ids=str,
)
@pytest.mark.parametrize("legacy", [False, True])
def test_plain_values_that_are_no_weights(tmp_path: Path, state: object, legacy: bool) -> None:
    path = tmp_path / "checkpoint.pth"
    torch.save(state, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(InputError, match=r"checkpoint\.pth is not a readable checkpoint") as error:
        load_network(path)
    assert "\n" not in str(error.value) and len(str(error.value)) < 500


@pytest.mark.parametrize(
    "range_", [(0.01, 0.5), (1, 0), (-1, -2), (".nan", 0.1), (".inf", 0.1), ("text", 0.1), (10**20, 1), ("true", 0.1)]
)
def test_disparity_ranges_that_make_no_sense(tmp_path: Path, range_: tuple[object, object]) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(f"mpi.disparity_start: {range_[0]}\nmpi.disparity_end: {range_[1]}\n")
    with pytest.raises(InputError, match=r"params\.yaml"):
        disparity_range(path, 1.0, 0.001)


def test_pipes_and_devices_are_no_checkpoints(tmp_path: Path) -> None:
    for name in ("a.safetensors", "a.pth"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(InputError, match="pipe or a device"):
            load_network(tmp_path / name)
