"""Files that are pictures of a kind that is not read: what they are, by their first bytes, and what to do with them."""

RAW = {
    b"FUJIFILMCCD-RAW": "RAF",
    b"IIRO": "ORF",
    b"IIRS": "ORF",
    b"MMOR": "ORF",
    b"IIU\0": "RW2",
    b"FOVb": "X3F",
    b"\0MRM": "MRW",
}
"""Raw formats by the bytes that their files begin with."""

RAW_SUFFIXES = {".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".sr2", ".raf", ".orf", ".rw2", ".rwl", ".pef"}
RAW_SUFFIXES |= {".srw", ".3fr", ".fff", ".iiq", ".x3f", ".mrw", ".dcr", ".kdc", ".erf"}

JPEG_XL = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")
"""What JPEG XL files begin with."""

VIDEO_BRANDS = (b"isom", b"mp41", b"mp42", b"avc1", b"qt  ", b"M4V ", b"3gp4", b"3gp5")


SAVE = "save it as PNG or JPEG"

OTHERS = {
    b"8BPS": ("a Photoshop document", SAVE),
    b"gimp xcf": ("a GIMP document", SAVE),
    b"%PDF": ("a PDF document", "save its page as PNG"),
    b"%!PS": ("a PostScript document", "save its page as PNG"),
    b"\xc5\xd0\xd3\xc6": ("a PostScript document", "save its page as PNG"),
    b"\0\0\0\x0cjP  ": ("JPEG 2000", SAVE),
    b"\xff\x4f\xff\x51": ("JPEG 2000", SAVE),
    b"\0\0\1\0": ("an icon", SAVE),
    b"icns": ("an icon", SAVE),
    b"DDS ": ("a texture (DDS)", SAVE),
    b"PK\3\4": ("an archive (ZIP)", "unpack it, and give a photo that was in it"),
    b"7z\xbc\xaf\x27\x1c": ("an archive (7z)", "unpack it, and give a photo that was in it"),
    b"Rar!": ("an archive (RAR)", "unpack it, and give a photo that was in it"),
    b"\x1f\x8b": ("compressed (gzip)", "unpack it first"),
    b"\x1a\x45\xdf\xa3": ("a video", "give a photo, such as a frame of it saved as JPEG"),
}
"""Files that are taken for photos, by the bytes that they begin with: what they are, and what to do."""

FORMATS = {"checkpoint": "mine.network/1", "scene file": "mine.mpi/1"}
"""What the metadata of our safetensors files has for "format", by what they hold."""

OURS = {"checkpoint": "give it as the checkpoint", "scene file": "give it a name that ends in .mpi"}
"""What to do with such a file in place of a photo."""

DAMAGED = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM")
"""What photos begin with: such a file that no decoder knows is one that was cut short or changed."""


def is_jpeg_xl(head: bytes) -> bool:
    """Whether a file that begins with these bytes is JPEG XL."""
    return head.startswith(JPEG_XL)


def raw_format(head: bytes, suffix: str = "") -> str | None:
    """The raw format of a file.

    Args:
        head: Its first 16 bytes at least.
        suffix: The ending of its name: counts for files that are otherwise no picture.

    Returns:
        Such as "CR2"; None if it is no raw photo.
    """
    if head[8:11] == b"CR\2":
        return "CR2"
    if head[4:12] == b"ftypcrx ":
        return "CR3"
    known = next((name for magic, name in RAW.items() if head.startswith(magic)), None)
    ending = suffix.lower()
    return known or (ending[1:].upper() if ending in RAW_SUFFIXES else None)


def not_the_file(head: bytes, remedy: str) -> str | None:
    """What is in a file in place of what was to be copied or downloaded, and what to do, after "FILE ...".

    Args:
        head: Its first bytes, 64 or more of them.
        remedy: What to do about an empty file.

    Returns:
        None if it is none of the known mishaps.
    """
    start = head.lstrip().lower()
    if not start:
        return f"is empty: {remedy}"
    if start.startswith(b"version https://git-lfs"):
        return "is a pointer of Git LFS to the file: fetch the file itself with `git lfs pull`"
    if start.startswith((b"<!doctype html", b"<html")) or (start.startswith(b"<?xml") and b"<html" in start):
        return "is a web page, saved in place of the file: open its address in a browser, and download the file there"
    return None


def refusal(head: bytes, suffix: str) -> str:
    """Why a file that no decoder knows is not read, and what to do, after "FILE ...".

    Args:
        head: Its first bytes, 64 or more of them.
        suffix: The ending of its name.
    """
    raw = raw_format(head, suffix)
    if raw:
        return raw_refusal(raw)
    if is_jpeg_xl(head):
        return 'is JPEG XL: pip install "mine[photos]" to read it, or save it as JPEG or PNG'
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "is a TIFF of a kind that is not read: save it with 8 or 16 bits a colour, or as JPEG or PNG"
    if (head[4:8] == b"ftyp" and head[8:12] in VIDEO_BRANDS) or (head[:4] == b"RIFF" and head[8:12] == b"AVI "):
        return "is not an image but a video: give a photo, such as a frame of it saved as JPEG"
    told = not_the_file(head, "copy or download it again")
    if told:
        return told
    if b"<svg" in head.lower():
        return "is a drawing (SVG): save it as PNG"
    return _other(head)


def _other(head: bytes) -> str:
    """What a file is, and what to do, after "FILE ...", if it is neither raw, a TIFF nor in place of another file."""
    for magic, (kind, remedy) in OTHERS.items():
        if head.startswith(magic):
            return f"is not an image but {kind}: {remedy}"
    for kind, written in FORMATS.items():
        if head[8:9] == b"{" and f'"{written}"'.encode() in head:
            return f"is not an image but a {kind} of MINE: {OURS[kind]}"
    is_container = head[4:8] == b"ftyp" or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
    if is_container or head.startswith(DAMAGED) or b"\xff\xd8\xff" in head[:64]:
        return "is an image that is damaged, cut short or of a rare kind: copy it again, or save it as JPEG or PNG"
    if not any(head):
        return "holds nothing but zeros: copy or download it again"
    if b";base64," in head[:64]:
        return "is not an image but one written as text (base64): decode it to a file first"
    if head.isascii() and not any(byte < 9 for byte in head):
        return "is not an image but text: give a photo, such as a JPEG"
    return "is not an image in a supported format: give a JPEG, PNG, HEIC, AVIF, WebP, TIFF or GIF photo"


def raw_refusal(kind: str) -> str:
    """What is said of a raw photo, after "FILE ..."."""
    return f'is a raw photo ({kind}): pip install "mine[photos]" to read it, or export it as JPEG, HEIC or TIFF'
