"""Numbers on the command line: what is no number, or out of range, is refused in one line while it is parsed."""

import math
from typing import Annotated, Any, TypeVar

import docstring_parser
from tyro.conf import arg
from tyro.constructors import PrimitiveConstructorSpec

from mine.errors import InputError
from mine.output.key_poses import MAX_FRAMES
from mine.output.lens_options import LARGEST_APERTURE
from mine.scene.limits import LARGEST_SIDE

Group = TypeVar("Group")


class RefusedError(Exception):
    """Carries an InputError through tyro, which would report a ValueError in a box of its own."""

    def __init__(self, error: InputError) -> None:
        super().__init__(str(error))
        self.error = error


def number(
    name: str, kind: type[int] | type[float], least: float, most: float, remedy: str
) -> PrimitiveConstructorSpec[Any]:
    """How tyro reads a number; used as metadata of `Annotated`.

    Args:
        name: Name of the option, for messages.
        kind: int or float.
        least: Smallest value; floats must lie above it.
        most: Largest value.
        remedy: What to give instead, for messages.
    """

    def parse(words: list[str]) -> float:
        try:
            value = kind(words[0])
        except ValueError:
            what = "a whole number" if kind is int else "a number"
            raise RefusedError(InputError(f"{name} {words[0]!r}: give {what} ({remedy})")) from None
        inside = (least <= value if kind is int else least < value) and value <= most
        if not (math.isfinite(value) and inside):
            raise RefusedError(InputError(f"{name} {words[0]} is out of range: give {remedy}"))
        return value

    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="N" if kind is int else "X",
        instance_from_str=parse,
        is_instance=lambda value: value is None or isinstance(value, (int, float)),
        str_from_instance=lambda value: ["" if value is None else f"{value:g}"],
    )


def with_joined_help(group: type[Group]) -> type[Group]:
    """Decorates a group of options, below `@dataclass`: tyro would show docstrings of fields with their line breaks."""
    for field in docstring_parser.parse_from_object(group).params:
        joined = " ".join((field.description or "").split())
        group.__annotations__[field.arg_name] = Annotated[group.__annotations__[field.arg_name], arg(help=joined)]
    return group


FRAMES = number("frames", int, 1, MAX_FRAMES, f"1 to {MAX_FRAMES}")
FPS = number("fps", float, 0.01, 240, "frames per second above 0.01, at most 240")
VIDEO_FPS = number("fps", float, 0.01, 60, "frames per second above 0.01, at most 60")
AMOUNT = number("amount", float, -100, 100, "a factor such as 0.5 or 2, at most 100")
SIZE = number("size", int, 2, 8192, "the longest side in pixels, 2 to 8192")
SCENE_SIZE = number("size", int, 16, LARGEST_SIDE, f"the longest side in pixels, 16 to {LARGEST_SIDE}")
APERTURE = number(
    "aperture", float, 0, LARGEST_APERTURE, f"a per cent of the width above 0, at most {LARGEST_APERTURE:g}"
)
EYE_DISTANCE = number(
    "eye distance", float, 0, 10, "a per cent of the width above 0, at most 10; 1 to 4 are comfortable"
)
PLANES = number("planes", int, 2, 1024, "at least 2 planes, at most 1024")
FOV = number("field of view", float, 0, 179.9, "the horizontal angle in degrees, above 0, below 180")
WORKERS = number("workers", int, 1, 64, "1 to 64 photos at a time")
PORT = number("port", int, 1, 65535, "a port from 1 to 65535")
