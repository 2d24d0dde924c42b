"""Checkpoints: what is written is read back, and whatever is wrong with a file is named."""

import copy
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from published_values import empty_state
from safetensors.torch import load_file, safe_open, save_file
from torch import Tensor

from mine.errors import InputError
from mine.network.architecture import Architecture
from mine.network.checkpoint import load_network, make_network, save_network
from mine.network.planes.network import PlaneNetwork
from mine.network.planes.published_checkpoint import read_params
from mine.scene.camera import intrinsics
from mine.scene.mpi import MPI

TINY = Architecture("mobilenetv3_small_050", widths=(4, 4, 5, 6, 7), bottleneck=(8, 6))


class MakesFolder:
    """An object whose unpickling makes a folder: what a malicious checkpoint would do."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.folder),)


@pytest.fixture(scope="module")
def network() -> PlaneNetwork:
    torch.manual_seed(0)
    return PlaneNetwork(TINY).eval()


@pytest.fixture
def ours(network: PlaneNetwork, tmp_path: Path) -> Path:
    path = tmp_path / "network.safetensors"
    save_network(network, path)
    return path


@pytest.fixture
def published(tmp_path: Path) -> Path:
    path = tmp_path / "checkpoint.pth"
    torch.save(empty_state(), path)
    return path


def rewrite(path: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    """Applies `change` to the tensors of a file of ours."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata=metadata)


def rewrite_published(path: Path, part: str, change: Callable[[dict[str, Tensor]], object]) -> None:
    """Applies `change` to one part of a published checkpoint."""
    state = empty_state()
    change(state[part])
    torch.save(state, path)


def cut(path: Path, size: int) -> None:
    """Keeps the first `size` bytes, or all but the last -`size`."""
    path.write_bytes(path.read_bytes()[:size])


def test_a_roundtrip_is_exact(network: PlaneNetwork, ours: Path) -> None:
    loaded = load_network(ours)
    assert loaded.architecture == TINY
    assert not loaded.training
    assert (loaded.near, loaded.far) == (1.0, 0.001)
    state = loaded.state_dict()
    assert state.keys() == network.state_dict().keys()
    for key, value in network.state_dict().items():
        assert torch.equal(state[key], value), key


def test_the_range_of_disparities_is_kept_and_is_the_usual_one_in_older_files(
    ours: Path, published: Path, tmp_path: Path
) -> None:
    published.with_name("params.yaml").write_text("mpi: {disparity_start: 0.7, disparity_end: 0.003}")
    network, path = load_network(published), tmp_path / "again.safetensors"
    save_network(network, path)
    assert (load_network(path).near, load_network(path).far) == (0.7, 0.003)
    with safe_open(ours, framework="pt") as file:
        metadata = {key: value for key, value in file.metadata().items() if key != "disparities"}
    save_file(load_file(ours), ours, metadata=metadata)
    assert (load_network(ours).near, load_network(ours).far) == (1.0, 0.001)


def test_half_precision_halves_the_file_and_keeps_eleven_bits(
    network: PlaneNetwork, ours: Path, tmp_path: Path
) -> None:
    path = tmp_path / "half.safetensors"
    save_network(network, path, half=True)
    assert path.stat().st_size < 0.6 * ours.stat().st_size
    state = load_network(path).state_dict()
    for key, value in network.state_dict().items():
        assert state[key].dtype == value.dtype
        torch.testing.assert_close(state[key], value, rtol=2**-11, atol=2**-25)


def test_half_precision_keeps_tensors_that_it_does_not_hold(network: PlaneNetwork, tmp_path: Path) -> None:
    path, changed = tmp_path / "half.safetensors", copy.deepcopy(network)
    key = next(key for key in changed.state_dict() if key.endswith("running_var"))
    changed.get_buffer(key)[0] = 70000.0  # the largest float16 is 65504
    save_network(changed, path, half=True)
    assert load_network(path).get_buffer(key)[0] == 70000.0
    assert {name for name, value in load_file(path).items() if value.dtype == torch.float32} == {key}


def test_a_loaded_network_predicts_the_same_planes(network: PlaneNetwork, ours: Path) -> None:
    image, disparity = torch.rand(1, 3, 64, 64), torch.tensor([[0.8, 0.1]])
    with torch.no_grad():
        loaded = load_network(ours)(image, disparity)
        for actual, expected in zip(loaded, network(image, disparity), strict=True):
            assert torch.equal(actual, expected)


def test_loading_draws_no_random_numbers(ours: Path) -> None:
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    load_network(ours)

    assert torch.equal(torch.rand(1), expected)


def test_a_file_that_is_overwritten_changes_no_loaded_network(network: PlaneNetwork, ours: Path) -> None:
    loaded = load_network(ours)
    with ours.open("r+b") as file:
        file.seek(-1024, os.SEEK_END)
        file.write(bytes(1024))

    for key, value in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value), key


def test_values_that_the_file_does_not_hold_are_computed(ours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class WithTable(PlaneNetwork):
        def __init__(self, architecture: Architecture) -> None:
            super().__init__(architecture)
            self.register_buffer("table", torch.arange(3), persistent=False)

    monkeypatch.setattr("mine.network.planes.network.PlaneNetwork", WithTable)

    assert load_network(ours).table.tolist() == [0, 1, 2]  # type: ignore[operator, union-attr]


def test_missing_key(ours: Path) -> None:
    rewrite(ours, lambda tensors: tensors.pop("decoder.heads.1.bias"))
    with pytest.raises(InputError, match=r"lacks key 'decoder\.heads\.1\.bias' \(1 missing\)"):
        load_network(ours)


def test_unexpected_key(ours: Path) -> None:
    rewrite(ours, lambda tensors: tensors.update({"decoder.extra": torch.zeros(1)}))
    with pytest.raises(InputError, match=r"unexpected key 'decoder\.extra'"):
        load_network(ours)


def test_key_of_another_shape(ours: Path) -> None:
    rewrite(ours, lambda tensors: tensors.update({"decoder.heads.1.bias": torch.zeros(5)}))
    with pytest.raises(InputError, match=r"'decoder\.heads\.1\.bias' has shape \(5,\), not \(4,\)"):
        load_network(ours)


def test_published_layout_loads_without_parameters_beside_it(published: Path) -> None:
    loaded = load_network(published)
    assert loaded.architecture == Architecture()
    assert (loaded.near, loaded.far) == (1.0, 0.001)


@pytest.mark.parametrize(
    ("part", "key", "name"),
    [
        ("backbone", "module.encoder.layer2.1.bn2.running_mean", "encoder.resnet.layer2.1.bn2.running_mean"),
        ("decoder", "module.conv_up1.0.weight", "decoder.bottleneck.up1.0.weight"),
        ("decoder", "module.convs.(-'-u-p-c-o-n-v-'-,- -3-,- -1-).bn.weight", "decoder.after.3.norm.weight"),
    ],
)
def test_published_key_missing(published: Path, part: str, key: str, name: str) -> None:
    rewrite_published(published, part, lambda entries: entries.pop(key))
    with pytest.raises(InputError, match=f"lacks key '{name}'"):
        load_network(published)


@pytest.mark.parametrize(
    ("part", "key"),
    [
        ("decoder", "module.conv_sideways.0.weight"),
        ("decoder", "module.convs.(-'-u-p-c-o-n-v-'-,- -3-,- -2-).bn.weight"),
        ("backbone", "module.encoder.layer5.0.conv1.weight"),
    ],
)
def test_published_key_unexpected(published: Path, part: str, key: str) -> None:
    rewrite_published(published, part, lambda entries: entries.update({key: torch.zeros(1)}))
    with pytest.raises(InputError, match="unexpected key .*" + key.split(".")[1].replace("encoder", "layer5")):
        load_network(published)


def test_published_key_of_another_shape(published: Path) -> None:
    key = "module.conv_up1.0.weight"
    rewrite_published(published, "decoder", lambda entries: entries.update({key: torch.zeros(256, 256, 1, 1)}))
    with pytest.raises(InputError, match=r"'decoder\.bottleneck\.up1\.0\.weight' has shape \(256, 256, 1, 1\)"):
        load_network(published)


@pytest.mark.parametrize("write", [torch.save, lambda state, path: path.write_bytes(pickle.dumps(state, 2))])
def test_code_in_a_checkpoint_is_refused_and_never_executed(tmp_path: Path, write: Callable[..., object]) -> None:
    path, folder = tmp_path / "checkpoint.pth", tmp_path / "made-by-the-checkpoint"
    write({"backbone": MakesFolder(folder), "decoder": {}}, path)
    with pytest.raises(InputError, match="holds more than weights"):
        load_network(path)
    assert not folder.exists()


def test_code_in_a_checkpoint_would_have_been_executed(tmp_path: Path) -> None:
    """The test above can fail: torch.load does run the code where it is allowed to."""
    path, folder = tmp_path / "checkpoint.pth", tmp_path / "made-by-the-checkpoint"
    torch.save({"backbone": MakesFolder(folder), "decoder": {}}, path)
    torch.load(path, weights_only=False)
    assert folder.is_dir()


@pytest.mark.parametrize("size", [0, 1, 100, 5000, -1])
def test_truncated_file(ours: Path, size: int) -> None:
    cut(ours, size)
    with pytest.raises(InputError, match=r"network\.safetensors is not a readable checkpoint"):
        load_network(ours)


@pytest.mark.parametrize("size", [0, 1, 100, 5000, -1])
def test_truncated_published_file(tmp_path: Path, size: int) -> None:
    path = tmp_path / "checkpoint.pth"
    torch.save({"backbone": {"module.encoder.conv1.weight": torch.rand(64, 3, 7, 7)}, "decoder": {}}, path)
    cut(path, size)
    with pytest.raises(InputError, match=r"checkpoint\.pth is not a readable checkpoint"):
        load_network(path)


def test_tensors_of_another_format(tmp_path: Path) -> None:
    scene, bare = tmp_path / "scene.mpi", tmp_path / "bare.safetensors"
    MPI(torch.rand(2, 3, 4, 4), torch.rand(2, 1, 4, 4), torch.tensor([1.0, 0.5]), intrinsics((4, 4))).save(scene)
    save_file({"weight": torch.zeros(1)}, bare)
    for path in (scene, bare):
        with pytest.raises(InputError, match=f"{path.name} is not a checkpoint: it is "):
            load_network(path)


@pytest.mark.parametrize("state", [{"state_dict": {}}, {"backbone": {}}, [1, 2]])
def test_plain_weights_of_another_model(tmp_path: Path, state: object) -> None:
    path = tmp_path / "checkpoint.pth"
    torch.save(state, path)
    with pytest.raises(InputError, match='lacks "backbone" and "decoder"'):
        load_network(path)


@pytest.mark.parametrize("name", ["none.safetensors", "none.pth", ""])
def test_missing_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="no checkpoint at"):
        load_network(tmp_path / name)


@pytest.mark.parametrize(
    "text",
    ["mpi.disparity_start: 0.5\nmpi.disparity_end: 0.01\n", "mpi:\n  disparity_start: 0.5\n  disparity_end: 0.01\n"],
    ids=["dotted", "nested"],
)
def test_disparity_range_of_the_parameters(published: Path, text: str) -> None:
    published.with_name("params.yaml").write_text(text)
    loaded = load_network(published)
    assert (loaded.near, loaded.far) == (0.5, 0.01)


@pytest.mark.parametrize("content", [b"mpi: [", b"\xff\xfe\x00", b"a: b: c"])
def test_damaged_parameters(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"params\.yaml is not readable YAML"):
        read_params(path)


@pytest.mark.parametrize("text", ["hello", "- 1\n- 2\n"])
def test_parameters_that_are_no_mapping(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"params\.yaml"):
        read_params(path)


def test_empty_or_absent_parameters(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    assert read_params(path) == {}
    path.write_text("")
    assert read_params(path) == {}


def test_equal_networks_have_equal_files(tmp_path: Path) -> None:
    """Metadata, which safetensors writes in a random order, included."""
    network = make_network(Architecture("mobilenetv3_small_050", (4, 4, 8, 8, 8), decoder="disparity"))
    files = set()
    for number in range(8):
        save_network(network, tmp_path / f"{number}.safetensors")
        files.add((tmp_path / f"{number}.safetensors").read_bytes())
    assert len(files) == 1
