"""What it takes to build a network before its weights are loaded; this module imports no torch."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from mine.errors import InputError
from mine.inputs.files import shown

MAX_CHANNELS = 4096
"""Most channels of a decoder's level: eight times the published network's."""

MAX_MEMBERS = 8
"""Most networks of an ensemble."""

SCALES = 4
"""Scales s at which planes are decoded: at 1/2^s of the image's resolution, for s = 0 to SCALES - 1."""

LEVELS = 5
"""Feature maps of an encoder, at 1/2 to 1/32 of the image, and as many levels of a decoder."""

PLANE_WIDTHS = (16, 32, 64, 128, 256)
"""Channels of the published decoder's levels, finest first."""


@dataclass(frozen=True)
class PartialArchitecture:
    """What a configuration says of an architecture: the fields of `Architecture`, None where they are left out."""

    encoder: str | None = None
    widths: tuple[int, ...] | None = None
    bottleneck: tuple[int, int] | None = None
    decoder: str | None = None
    background: tuple[int, ...] | None = None
    opacity: int | None = None
    members: int | None = None

    def given(self) -> dict[str, Any]:
        """The fields that are not left out, by name."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    def completed(self, rest: "Architecture") -> "Architecture":
        """The architecture whose fields that are left out are those of another."""
        return replace(rest, **self.given())


@dataclass(frozen=True)
class Architecture(PartialArchitecture):
    """What it takes to build a network before its weights are loaded; the defaults are the published MINE network's.

    Attributes:
        encoder: Name of the encoder; see `mine.network.encoders.encoder.make_encoder`.
        widths: Channels of the decoder's levels, finest first.
        bottleneck: Channels of the plane decoder's bottleneck at 1/64 and at 1/128 of the image. Disparity networks
            have no bottleneck and ignore it.
        decoder: Kind of network, a key of `mine.network.NETWORKS`.
        background: Channels of the background network's levels, finest first; of networks of the kind "layers" alone.
        opacity: Channels of their opacity network, 0 for none.
        members: Disparity networks that predict together; 1 unless they are an ensemble.
    """

    encoder: str = "resnet50"
    widths: tuple[int, ...] = PLANE_WIDTHS
    bottleneck: tuple[int, int] = (512, 256)
    decoder: str = "planes"
    background: tuple[int, ...] = ()
    opacity: int = 0
    members: int = 1

    def as_dict(self) -> dict[str, object]:
        """Field values by name, for a checkpoint's metadata."""
        return asdict(self)

    @staticmethod
    def from_dict(entries: Any) -> "Architecture":
        """Makes an architecture from a checkpoint's metadata.

        Args:
            entries: Values by name, as JSON gives them.

        Raises:
            InputError: It is no dictionary, or a name, a type or a value is out of range; see `check`.
        """
        known = asdict(Architecture())
        if not isinstance(entries, dict) or not entries.keys() <= known.keys():
            raise InputError(f"architecture is {shown(entries)}: give a section of the keys {', '.join(known)}")
        values: dict[str, Any] = {key: tuple(x) if isinstance(x, list) else x for key, x in entries.items()}
        _check(known | values)  # before the constructor, which takes no other types
        return Architecture(**values)

    def difference(self, other: "Architecture") -> str | None:
        """The first field in which the networks of two architectures differ.

        Returns:
            "KEY = VALUE and OTHER VALUE"; None if both build the same network.
        """
        for key, value in asdict(self).items():
            ignored = key == "bottleneck" and "planes" not in (self.decoder, other.decoder)
            if value != getattr(other, key) and not ignored:
                return f"{key} = {shown(value)} and {shown(getattr(other, key))}"
        return None

    def check(self) -> None:
        """Checks types and ranges; whether there is such an encoder or decoder is seen when these are made.

        Raises:
            InputError: A name is no text, or widths are not 5 and bottleneck 2 numbers of channels.
        """
        _check(asdict(self))


def _check(values: dict[str, Any]) -> None:
    """Raises InputError unless the values of an architecture, by name, are of its types and in range."""
    for key in ("encoder", "decoder"):
        if not isinstance(values[key], str):
            raise InputError(f"{key} is {shown(values[key])}: give a name")
    if type(values["opacity"]) is not int or not 0 <= values["opacity"] <= MAX_CHANNELS:
        raise InputError(f"opacity is {shown(values['opacity'])}: give a number of channels, 0 to {MAX_CHANNELS}")
    if type(values["members"]) is not int or not 1 <= values["members"] <= MAX_MEMBERS:
        raise InputError(f"members is {shown(values['members'])}: give a number of networks, 1 to {MAX_MEMBERS}")
    if values["decoder"] == "planes" and values["members"] > 1:
        raise InputError(f"members is {values['members']} with decoder planes: disparity networks alone have members")
    for key, count in (("widths", LEVELS), ("bottleneck", 2), ("background", LEVELS if values["background"] else 0)):
        numbers = values[key] if isinstance(values[key], tuple) else ()
        good = [number for number in numbers if type(number) is int and 1 <= number <= MAX_CHANNELS]
        if len(good) != count or len(numbers) != count:
            raise InputError(f"{key} is {shown(values[key])}: give {count} numbers of channels, 1 to {MAX_CHANNELS}")
