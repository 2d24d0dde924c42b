"""Depth maps inside of phones' photos, written here in each phone's form."""

import re
from pathlib import Path

import numpy as np
import portrait_photos
import pytest
from PIL import Image
from portrait_photos import LEVELS, RDF

from mine.errors import InputError
from mine.scene.depth_maps import portrait
from mine.scene.depth_maps.portrait import apple_depth, heic_depth, read_portrait_depth
from mine.scene.depth_maps.read import read_depth
from mine.scene.depth_maps.xmp import read_xmp

SHARES = LEVELS / 255

LINEAR = {"representation_type": 2}
"""What a HEIC says of even steps of depth whose ends it does not tell."""


@pytest.mark.parametrize("kind", ["disparity", "depth"])
@pytest.mark.parametrize(("accuracy", "scale"), [("relative", None), ("absolute", 1.0)])
def test_an_apple_jpeg_has_levels_between_the_ends_of_its_xmp(
    kind: str, accuracy: str, scale: float | None, tmp_path: Path
) -> None:
    portrait_photos.apple_jpeg(tmp_path / "a.jpg", kind, (0.25, 2.0), accuracy)
    depth_map = read_portrait_depth(tmp_path / "a.jpg")
    assert (depth_map.kind, depth_map.scale) == (kind, scale)
    np.testing.assert_allclose(depth_map.values, 0.25 + 1.75 * SHARES, atol=2 * 1.75 / 255)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_map_is_turned_as_the_photo_is(orientation: int, tmp_path: Path) -> None:
    portrait_photos.apple_jpeg(tmp_path / "a.jpg", orientation=orientation)
    values = read_depth("auto", photo=tmp_path / "a.jpg").values
    upright = {
        1: LEVELS,
        2: LEVELS[:, ::-1],
        3: LEVELS[::-1, ::-1],
        4: LEVELS[::-1],
        5: LEVELS.T,
        6: np.rot90(LEVELS, -1),
        7: LEVELS[::-1, ::-1].T,
        8: np.rot90(LEVELS),
    }[orientation]
    np.testing.assert_allclose(values, 0.25 + 1.75 * upright / 255, atol=2 * 1.75 / 255)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
@pytest.mark.parametrize("size", [(96, 128), (128, 96)])
def test_a_map_of_the_upright_photo_s_shape_is_not_turned(
    orientation: int, size: tuple[int, int], tmp_path: Path
) -> None:
    levels = LEVELS.T if size[0] < size[1] else LEVELS
    portrait_photos.apple_jpeg(tmp_path / "a.jpg", orientation=orientation, levels=levels, size=size)
    values = read_depth("auto", photo=tmp_path / "a.jpg").values
    np.testing.assert_allclose(values, 0.25 + 1.75 * levels / 255, atol=2 * 1.75 / 255)


def test_the_map_of_a_heic_is_turned_by_exif_alone_as_the_photo_is(tmp_path: Path) -> None:
    portrait_photos.heic(tmp_path / "a.HIF", exif=portrait_photos.exif(6))
    content = (tmp_path / "a.HIF").read_bytes()
    (tmp_path / "a.HIF").write_bytes(content.replace(b"irot", b"free").replace(b"miaf", b"heic"))
    values = read_depth("auto", photo=tmp_path / "a.HIF").values
    np.testing.assert_allclose(values, np.rot90(SHARES.repeat(4, 0).repeat(4, 1), -1), atol=2 / 255)


@pytest.mark.parametrize("units", ["m", ""])
def test_gdepth_is_even_in_disparity_or_in_depth(units: str, tmp_path: Path) -> None:
    portrait_photos.gdepth_jpeg(tmp_path / "inverse.jpg", units=units)
    inverse = read_portrait_depth(tmp_path / "inverse.jpg")
    assert (inverse.kind, inverse.scale) == ("disparity", 1.0 if units else None)
    np.testing.assert_allclose(inverse.values, 1 + (1 / 8 - 1) * SHARES, rtol=1e-5)
    portrait_photos.gdepth_jpeg(tmp_path / "linear.jpg", linear=True, units=units)
    linear = read_portrait_depth(tmp_path / "linear.jpg")
    assert linear.kind == "depth"
    np.testing.assert_allclose(linear.values, 1 + 7 * SHARES, rtol=1e-5)


def test_gdepth_with_impossible_ends_keeps_its_order(tmp_path: Path) -> None:
    portrait_photos.gdepth_jpeg(tmp_path / "a.jpg", ends=(5.0, 0.0))
    depth_map = read_portrait_depth(tmp_path / "a.jpg")
    assert depth_map.scale is None and (np.diff(depth_map.values[LEVELS.argmin(), :]) != 0).all()
    assert depth_map.values[0, 0] > depth_map.values[10, 10] > 0


def test_dynamic_depth_lies_behind_the_photo_and_before_its_video(tmp_path: Path) -> None:
    portrait_photos.dynamic_depth_jpeg(tmp_path / "a.jpg")
    np.testing.assert_allclose(read_portrait_depth(tmp_path / "a.jpg").values, 1 - 0.875 * SHARES, atol=2 / 255)


def test_a_heic_has_a_depth_image(tmp_path: Path) -> None:
    portrait_photos.heic(tmp_path / "a.heic")
    depth_map = read_depth("auto", photo=tmp_path / "a.heic")
    assert (depth_map.size, depth_map.kind) == ((96, 128), "disparity")
    np.testing.assert_allclose(depth_map.values, SHARES.repeat(4, 0).repeat(4, 1), atol=2 / 255)


def test_a_heic_s_representation_says_what_its_levels_mean() -> None:
    disparity = heic_depth(LEVELS, {"d_min": 0.25, "d_max": 2.0, "representation_type": 1}, "x")
    np.testing.assert_allclose(disparity.values, 0.25 + 1.75 * SHARES, rtol=1e-5)
    depth = heic_depth(LEVELS, {"z_near": 1.0, "z_far": 8.0, "representation_type": 2}, "x")
    assert depth.kind == "depth"
    np.testing.assert_allclose(depth.values, 8 - 7 * SHARES, rtol=1e-5)
    ends = {"z_near": 1.0, "z_far": 8.0}
    for metadata in (ends | {"representation_type": 0, "d_min": 3.0, "d_max": 9.0}, ends | {"representation_type": 1}):
        inverse = heic_depth(LEVELS, metadata, "x")
        assert inverse.kind == "disparity"
        np.testing.assert_allclose(inverse.values, 1 / 8 + 7 / 8 * SHARES, rtol=1e-5)
    nothing = heic_depth(LEVELS, {"d_min": 3.0, "d_max": 1.0}, "x")
    np.testing.assert_allclose(nothing.values, SHARES, rtol=1e-5)


def test_depth_whose_ends_are_not_known_spans_a_range_of_ten() -> None:
    linear = heic_depth(LEVELS, LINEAR, "x")
    properties = read_xmp(
        RDF.format(
            '<rdf:Description xmlns:p="http://ns.apple.com/pixeldatainfo/1.0/" p:AuxiliaryImageType="depth"/>'
        ).encode()
    )
    for depth_map, farness in ((linear, 1 - SHARES), (apple_depth(LEVELS, properties, "x"), SHARES)):
        assert not depth_map.has_unknown
        np.testing.assert_allclose(depth_map.disparity(), 9 / (1 + 9 * farness), rtol=1e-5)


@pytest.mark.parametrize("inverted", [False, True])
def test_the_range_of_depth_without_ends_is_kept_when_it_is_read(
    inverted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    portrait_photos.heic(tmp_path / "a.heic")
    monkeypatch.setattr(portrait, "heic_depth", lambda levels, _, name: heic_depth(levels, LINEAR, name))
    disparity = read_depth("auto", inverted=inverted, photo=tmp_path / "a.heic").disparity()
    assert disparity.max() / disparity.min() == pytest.approx(10 / (1 + 9 * (1 - SHARES.max())), rel=0.02)
    told = read_depth("auto", "depth", scale=2.0, photo=tmp_path / "a.heic")
    assert (told.scale, told.offset) == (2.0, 0.0)


def test_depth_that_a_file_calls_disparity_spans_a_range_of_ten(tmp_path: Path) -> None:
    portrait_photos.heic(tmp_path / "a.heic")
    disparity = read_depth("auto", "depth", photo=tmp_path / "a.heic").disparity()
    assert disparity.max() / disparity.min() == pytest.approx(1 + 9 * SHARES.max(), rel=0.02)


def test_what_is_said_of_a_portrait_counts_more_than_its_file(tmp_path: Path) -> None:
    portrait_photos.apple_jpeg(tmp_path / "a.jpg", accuracy="absolute")
    told = read_depth("auto", "depth", scale=0.5, photo=tmp_path / "a.jpg")
    assert (told.kind, told.scale) == ("depth", 0.5)
    inverted = read_depth("auto", inverted=True, photo=tmp_path / "a.jpg")
    own = read_portrait_depth(tmp_path / "a.jpg").values
    assert inverted.scale is None
    np.testing.assert_allclose(inverted.values, own.max() + own.min() - own, rtol=1e-5)


def test_photos_without_depth_are_told_so(tmp_path: Path) -> None:
    image = portrait_photos.picture()
    image.save(tmp_path / "a.jpg")
    image.save(tmp_path / "a.png")
    image.save(tmp_path / "two.jpg", "MPO", save_all=True, append_images=[image])
    (tmp_path / "a.cr3").write_bytes(b"\0\0\0\x18ftypcrx " + bytes(200))
    for name in ("a.jpg", "a.png", "two.jpg", "a.cr3"):
        with pytest.raises(InputError, match=rf"{name} holds no depth map"):
            read_portrait_depth(tmp_path / name)


def test_a_portrait_that_lacks_bytes_is_refused(tmp_path: Path) -> None:
    portrait_photos.dynamic_depth_jpeg(tmp_path / "a.jpg", lost=200)
    with pytest.raises(InputError, match=re.escape("the depth map in")):
        read_portrait_depth(tmp_path / "a.jpg")
    portrait_photos.apple_jpeg(tmp_path / "b.jpg", levels=np.full_like(LEVELS, 9))
    with pytest.raises(InputError, match="everywhere"):
        read_depth("auto", photo=tmp_path / "b.jpg")


@pytest.mark.parametrize("length", ["²1", "٣", "-1", "1" * 5000, "9" * 400])
def test_lengths_that_are_no_numbers_are_refused(tmp_path: Path, length: str) -> None:
    portrait_photos.dynamic_depth_jpeg(tmp_path / "a.jpg", depth_length=length)
    with pytest.raises(InputError, match="lists a depth map of 0 bytes that it lacks"):
        read_portrait_depth(tmp_path / "a.jpg")


def test_xmp_is_read_by_namespace_whatever_the_prefix() -> None:
    text = RDF.format(
        '<rdf:Description xmlns:p="http://ns.apple.com/pixeldatainfo/1.0/" p:FloatMinValue="0.5">'
        "<p:AuxiliaryImageType> disparity </p:AuxiliaryImageType></rdf:Description>"
    )
    properties = read_xmp(b"<?xpacket begin=''?>" + text.encode() + b"<?xpacket end='w'?>")
    space = "http://ns.apple.com/pixeldatainfo/1.0/"
    assert properties[space, "AuxiliaryImageType"] == "disparity"
    assert properties.number((space, "FloatMinValue")) == 0.5
    assert properties.number((space, "AuxiliaryImageType")) is None


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"<x:xmpmeta>",
        b"no XML",
        b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a c="1">&b;</a>',
        b'<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><a>&c;</a>',
        '<a c="1"/>'.encode("utf-16"),
        b'<?xml version="1.0" encoding="nonsense"?><a c="1"/>',
        b"<a>" + b'<b c="1"/>' * 50_000 + b"</a>",
        b'<a c="1">' + b" " * (1 << 26) + b"</a>",
    ],
    ids=range(9),
)
def test_xmp_that_is_damaged_or_refers_elsewhere_has_no_properties(packet: bytes) -> None:
    assert read_xmp(packet) == {}


def test_the_photo_of_a_portrait_is_read_as_ever(tmp_path: Path) -> None:
    portrait_photos.apple_jpeg(tmp_path / "a.jpg")
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.size == (128, 96)
