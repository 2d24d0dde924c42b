"""Changes of bytes, for fuzzing: each takes a file's content and a source of randomness, and returns other content."""

import random
import re
import struct
from collections.abc import Callable

NUMBERS = [0, 1, 2, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**62, 2**63, 2**64 - 1]
TOKENS = [b"", b"-1", b"0", b"1e9", b"1e400", b"NaN", b"nan", b"inf", b"null", b"true", b"[]", b"{}", b'""', b'"x"']
TOKENS += [b"9" * 30, b"9" * 5000, b"[" * 3000, b"F64", b"I64", b"BOOL", b"\xff", b"\0", b"\n", b"../x", b"hf-hub:a/b"]
TOKENS += [b"!!int x", b"&a", b"*a", b"2020-13-45", b"%x", b"- ", b"? "]


def flip(content: bytes, rng: random.Random) -> bytes:
    """Some bytes changed."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        changed[rng.randrange(len(changed))] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))
    return bytes(changed)


def number(content: bytes, rng: random.Random) -> bytes:
    """Eight, four or two bytes replaced by a number at the edge of some type."""
    format_ = rng.choice(("<Q", "<I", ">I", "<H", ">H", "<d", "<f"))
    value = rng.choice(NUMBERS)
    if format_ in ("<d", "<f"):
        packed = struct.pack(format_, rng.choice((float("nan"), float("inf"), -1.0, 0.0, 1e30, -1e-30)))
    else:
        packed = struct.pack(format_, value % 256 ** struct.calcsize(format_))
    at = rng.randrange(max(1, len(content) - len(packed)))
    return content[:at] + packed + content[at + len(packed) :]


def cut(content: bytes, rng: random.Random) -> bytes:
    """The end cut off."""
    return content[: rng.randrange(len(content))]


def move(content: bytes, rng: random.Random) -> bytes:
    """A piece left out, repeated, or put elsewhere."""
    start = rng.randrange(len(content))
    piece = content[start : start + rng.choice((1, 2, 4, 8, 64, 512))]
    rest = content if rng.random() < 0.5 else content[:start] + content[start + len(piece) :]
    at = rng.randrange(len(rest) + 1)
    return rest[:at] + piece * rng.choice((0, 1, 1, 2, 50)) + rest[at:]


def token(content: bytes, rng: random.Random) -> bytes:
    """A word or number of the text replaced by another one; the length stays where there is room for it."""
    words = [found.span() for found in re.finditer(rb"[\w.+-]+", content[:20000])]
    if not words:
        return flip(content, rng)
    start, end = rng.choice(words)
    other = rng.choice([*TOKENS, content[slice(*rng.choice(words))]])
    if rng.random() < 0.5:
        other = other[: end - start].ljust(end - start)
    return content[:start] + other + content[end:]


CHANGES: list[Callable[[bytes, random.Random], bytes]] = [flip, flip, number, number, cut, move, token, token]


def mutate(content: bytes, rng: random.Random) -> bytes:
    """Content with one to three changes."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        content = rng.choice(CHANGES)(content or b"\0", rng)
    return content
