"""The memory of this process: its peak, and giving back what was freed."""

import ctypes
import sys


def release_memory() -> None:
    """Gives back what C's allocator keeps of freed blocks: glibc keeps hundreds of megabytes between those in use."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc alone has it
        if trim is not None:
            trim(0)


def peak_memory() -> float | None:
    """Peak resident memory of this process so far, in GB (10^9 bytes); None on Windows, which lacks `resource`."""
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024  # the system's own
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9
