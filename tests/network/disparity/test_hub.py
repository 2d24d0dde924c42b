"""Depth by a model of transformers: a tiny one with random weights, saved to a folder."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import mine
from mine.errors import InputError
from mine.network.disparity import hub
from mine.network.disparity.hub import DEFAULT_DEPTH_MODEL, DepthModel, check_depth_model, predicted_kind

transformers = pytest.importorskip("transformers", reason="the extra hub is not installed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Depth Anything of 20 thousand parameters."""
    transformers.utils.logging.disable_progress_bar()
    torch.manual_seed(0)
    stages = ["stage1", "stage2", "stage3", "stage4"]
    backbone = transformers.Dinov2Config(
        image_size=28,
        patch_size=14,
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        mlp_ratio=1,
        out_features=stages,
        reshape_hidden_states=False,
    )
    config = transformers.DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=16,
        neck_hidden_sizes=[8] * 4,
        fusion_hidden_size=8,
        head_hidden_size=8,
    )
    made = tmp_path_factory.mktemp("models") / "tiny"
    transformers.DepthAnythingForDepthEstimation(config).save_pretrained(made)
    processor = transformers.DPTImageProcessor(
        size={"height": 56, "width": 56}, keep_aspect_ratio=True, ensure_multiple_of=14
    )
    processor.save_pretrained(made)
    return made


def test_a_model_predicts_a_map_in_the_photo_s_aspect(folder: Path) -> None:
    model = DepthModel(str(folder))
    photo = torch.rand(3, 40, 60, generator=torch.Generator().manual_seed(1))
    depth_map = model(photo)
    assert depth_map.size == (40, 60) and (depth_map.kind, depth_map.scale) == ("disparity", None)
    np.testing.assert_array_equal(model(photo).values, depth_map.values)
    assert not np.allclose(model(photo.flip(2)).values, depth_map.values)
    assert DepthModel(str(folder), kind="auto").kind == "disparity"


def test_a_model_is_the_depth_of_a_prediction(folder: Path, tiny_checkpoint: Path) -> None:
    photo = torch.rand(3, 128, 128, generator=torch.Generator().manual_seed(1))
    model, depth_model = mine.load(tiny_checkpoint, device="cpu"), DepthModel(str(folder))
    scene = model.predict(photo, planes=4, depth=depth_model)
    direct = model.predict(photo, planes=4, depth=depth_model(photo))
    torch.testing.assert_close(scene.planes, direct.planes)


@pytest.mark.parametrize(
    ("config", "kind", "scale"),
    [
        ({"model_type": "depth_anything"}, "disparity", None),
        ({"model_type": "depth_anything", "depth_estimation_type": "relative"}, "disparity", None),
        ({"model_type": "depth_anything", "depth_estimation_type": "metric"}, "depth", 1.0),
        ({"model_type": "zoedepth"}, "depth", 1.0),
        ({"model_type": "depth_pro"}, "depth", 1.0),
        ({"model_type": "dpt"}, "auto", None),
    ],
)
def test_what_models_predict_follows_from_their_type(config: dict[str, str], kind: str, scale: float | None) -> None:
    assert predicted_kind(config) == (kind, scale)


def test_a_model_in_the_hub_s_cache_needs_no_network(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision = "0" * 40
    cached = tmp_path / "models--someone--tiny"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text(revision)
    (cached / "snapshots").mkdir()
    (cached / "snapshots" / revision).symlink_to(folder)
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.setattr(f"huggingface_hub.constants.{name}", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    check_depth_model("someone/tiny")
    assert DepthModel("someone/tiny")(torch.rand(3, 40, 60)).size == (40, 60)
    with pytest.raises(InputError, match=r"someone/other is not in the cache .*HF_HUB_OFFLINE is set"):
        check_depth_model("someone/other")


def test_a_model_that_cannot_be_fetched_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise OSError("no network\nin tests")

    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *arguments: None)
    monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", fail)
    monkeypatch.setattr(hub, "_offline", lambda: False)
    with pytest.raises(InputError, match=rf"{DEFAULT_DEPTH_MODEL} is not in the cache .*no network\): connect"):
        DepthModel()


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ("{", "configuration of depth model .* is damaged"),
        ("[]", "is damaged"),
        ("{}", "is of another kind, not for depth"),
        ('{"architectures": ["BertModel"]}', "is BertModel, not for depth"),
    ],
)
def test_a_folder_without_a_model_for_depth_is_refused(config: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(InputError, match=told):
        DepthModel(str(tmp_path))


def test_a_model_without_weights_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    with pytest.raises(InputError, match="cannot be loaded"):
        DepthModel(str(tmp_path))


def test_a_model_s_own_program_is_not_run(folder: Path, tmp_path: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config |= {"auto_map": {"AutoModelForDepthEstimation": "own.Own"}, "model_type": "own"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "own.py").write_text("raise SystemExit")
    with pytest.raises(InputError, match="cannot be loaded"):
        DepthModel(str(tmp_path))
