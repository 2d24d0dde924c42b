"""XMP metadata (ISO 16684): the properties of a picture, read without references to anything outside."""

from collections.abc import Iterable
from xml.etree import ElementTree

MAX_BYTES = 1 << 26
"""Most bytes of XMP that are parsed: a depth map in base64 has a few million, and the original photo 30 million."""

MAX_MARKS = 100_000
"""Most elements' and attributes' marks in them, each of which becomes objects: phones write some hundred."""

EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
"""What a JPEG's segments of extended XMP begin with."""

REFUSED = (b"<!DOCTYPE", b"<!ENTITY", b"\0")
"""What packets must not have: document types, by which XML unfolds and refers to files; and wide encodings of them."""

GUID, NUMBERS = 32, 8
"""Bytes of an extended segment's identifier, and of its total length and offset."""


class Properties(dict[tuple[str, str], str]):
    """Texts by namespace and name. Of several properties of one name, the first counts."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[dict[tuple[str, str], str]] = []

    def number(self, key: tuple[str, str]) -> float | None:
        """A property as a finite number, or None."""
        try:
            value = float(self.get(key, ""))
        except ValueError:
            return None
        return value if abs(value) < float("inf") else None

    def rows(self, space: str) -> list[dict[str, str]]:
        """The elements that have properties of a namespace as attributes, in order: by name, without the namespace."""
        rows = ({name: text for (of, name), text in row.items() if of == space} for row in self.elements)
        return [row for row in rows if row]


def read_xmp(data: bytes) -> Properties:
    """Reads the properties of an XMP packet.

    Args:
        data: The packet; empty for none.

    Returns:
        Its properties, as attributes and as elements with text alone. Empty for what is no XML, or has a document type,
        by which XML refers to other files, or is longer than `MAX_BYTES` or `MAX_MARKS`.
    """
    properties = Properties()
    start, end = data.find(b"<x:xmpmeta"), data.rfind(b"</x:xmpmeta>")
    packet = data[start : end + len(b"</x:xmpmeta>")] if 0 <= start < end else data.strip(b"\0 \n\r\t")
    if not packet or len(packet) > MAX_BYTES or any(refused in packet for refused in REFUSED):
        return properties
    if packet.count(b"<") + packet.count(b"=") > MAX_MARKS:
        return properties
    try:
        root = ElementTree.fromstring(packet)
    except (ElementTree.ParseError, ValueError, LookupError):  # the last two: encodings that are none
        return properties
    for element in root.iter():
        attributes = {_split(name): text for name, text in element.attrib.items()}
        if attributes:
            properties.elements.append(attributes)
        for key, text in attributes.items():
            properties.setdefault(key, text)
        if element.text and element.text.strip():
            properties.setdefault(_split(element.tag), element.text.strip())
    return properties


def extended_xmp(segments: Iterable[tuple[str, bytes]]) -> bytes:
    """Joins the segments of a JPEG's extended XMP (XMP specification, part 3, section 1.1.3.1).

    Args:
        segments: Names and contents of the file's segments, as Pillow's `applist`.

    Returns:
        The packet, empty if there is none; parts that lie outside of its length are left out.
    """
    parts: dict[bytes, dict[int, bytes]] = {}
    for name, content in segments:
        if name != "APP1" or not content.startswith(EXTENSION):
            continue
        guid, rest = content[len(EXTENSION) :][:GUID], content[len(EXTENSION) + GUID :]
        parts.setdefault(guid, {})[int.from_bytes(rest[4:NUMBERS], "big")] = rest[NUMBERS:]
    if not parts:
        return b""
    packet: list[bytes] = []
    length = 0
    for offset, part in sorted(max(parts.values(), key=lambda each: sum(map(len, each.values()))).items()):
        if offset != length:
            break
        packet.append(part)
        length += len(part)
    return b"".join(packet)


def _split(tag: str) -> tuple[str, str]:
    """Namespace and name of a tag such as "{namespace}name"."""
    space, _, name = tag.rpartition("}")
    return space.removeprefix("{"), name
