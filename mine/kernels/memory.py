"""Giving memory that was freed back to the system."""

import ctypes
import sys


def release_memory() -> None:
    """Gives back what C's allocator keeps of freed blocks: glibc keeps hundreds of megabytes between those in use."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc alone has it
        if trim is not None:
            trim(0)
