"""The samples of the web page: what is packed is what the page reads today."""

import json

import av
import pytest
from PIL import Image
from small_scene import make_photo, make_scene

from mine.demo.samples import TITLES, samples
from mine.output.camera_paths import PATHS
from mine.output.web.pack import pack


def test_eight_samples_are_packed_as_the_viewer_reads_them() -> None:
    assert [sample.name for sample in samples()] == list(TITLES)
    assert len(TITLES) == 8
    today = pack(make_scene(make_photo()))
    for sample in samples():
        packed = json.loads(sample.scene.read_text(encoding="utf-8"))
        assert packed.keys() == today.keys(), "run scripts/pack_samples.py"
        assert packed["strips"][0].keys() == today["strips"][0].keys()
        with Image.open(sample.photo) as photo, Image.open(sample.depth) as depth, Image.open(sample.motions) as sheet:
            assert photo.width / photo.height == pytest.approx(packed["aspect"], rel=0.01)
            assert depth.width / depth.height == pytest.approx(packed["aspect"], rel=0.01)
            assert sheet.size == (12 * 144, len(PATHS) * 96)
        with av.open(sample.video) as video:
            assert video.streams.video[0].frames >= 48
