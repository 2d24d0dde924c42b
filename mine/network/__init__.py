"""Networks from a photo to the planes of a multiplane image, and the registry of their kinds.

A kind is one entry of `NETWORKS`; its class derives from `mine.network.protocol.Network`. Training adds its losses in
`mine.training.objectives`. This module imports no torch: configurations are checked without it.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Literal

from mine.errors import InputError, choose

if TYPE_CHECKING:
    from mine.network.protocol import Network


@dataclass(frozen=True)
class NetworkKind:
    """What is known of a kind of network before its class is imported.

    Attributes:
        path: Module and class, as "module:class".
        side_multiple: Height and width of the network's input are multiples of this, in pixels: the ratio of the
            input's resolution to that of the coarsest feature map.
        photo_colours: Whether predicted planes already have the photo's colours where the source camera sees them. If
            not, the colours come from `mine.render.blend_source`.
        supervision: What training compares with the data: "views" rendered from target cameras, "depth" of the images
            themselves, or the "layers" that target cameras uncover.
        assumed_fov: Horizontal field of view in degrees of a photo without EXIF focal length, where training assumed
            one. None where it did not: that of a phone's camera (`mine.scene.exif.phone_fov`).
        lifted: Whether the planes are one surface for each pixel, lifted from its disparity: scenes keep the surface,
            and large views lift it again at their own resolution.
    """

    path: str
    side_multiple: int
    photo_colours: bool
    supervision: Literal["views", "depth", "layers"]
    assumed_fov: float | None = None
    lifted: bool = False

    def load(self) -> "type[Network]":
        """Imports the class."""
        module, _, name = self.path.partition(":")
        network: type[Network] = getattr(import_module(module), name)
        return network


NETWORKS = {
    "planes": NetworkKind(
        "mine.network.planes.network:PlaneNetwork",
        side_multiple=128,
        photo_colours=False,
        supervision="views",
        assumed_fov=90.0,
    ),
    "disparity": NetworkKind(
        "mine.network.disparity.network:DisparityNetwork",
        side_multiple=32,
        photo_colours=True,
        supervision="depth",
        lifted=True,
    ),
    "layers": NetworkKind(
        "mine.network.layers.network:LayeredNetwork",
        side_multiple=32,
        photo_colours=False,
        supervision="layers",
        lifted=True,
    ),
}
"""Kinds of networks by the `decoder` of their `Architecture`."""


def network_kind(decoder: str) -> NetworkKind:
    """Looks up a kind of network.

    Args:
        decoder: The `decoder` of an `Architecture`, a key of `NETWORKS`.

    Returns:
        The entry of `NETWORKS`.

    Raises:
        InputError: There is no such kind.
    """
    if decoder not in NETWORKS:
        raise InputError(f"decoder {decoder!r} is unknown: {choose(decoder, NETWORKS)}")
    return NETWORKS[decoder]
