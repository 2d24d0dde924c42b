"""Where a lens can be in focus, known without torch."""

from mine.errors import InputError

FOCUS_NAMES = {"near": 0.0, "middle": 0.5, "far": 1.0}
"""Names of depths: 0 is the nearest things, 1 the farthest, in between linear in disparity."""

APERTURE = 1.5
"""Per cent of the width by which the nearest things are blurred when the farthest are in focus, unless it is given."""

LARGEST_APERTURE = 10.0
"""Per cent."""


def parse_focus(text: str) -> tuple[float, float]:
    """Where a lens is in focus at the start and at the end of a clip.

    Args:
        text: near, middle, far, or a number from 0 (nearest) to 1 (farthest); two of them with a colon between are a
            focus pull from the first to the second.

    Raises:
        InputError: It is not of that form.
    """
    words = text.strip().lower().split(":")
    try:
        places = [FOCUS_NAMES[word] if word in FOCUS_NAMES else float(word) for word in words]
    except ValueError:
        places = []
    if len(places) not in (1, 2) or not all(0 <= place <= 1 for place in places):
        raise InputError(f"focus {text!r}: give near, middle, far or a number from 0 to 1, or two such as near:far")
    return places[0], places[-1]
