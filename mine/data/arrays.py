"""Types of arrays and sizes that the modules of `mine.data` share."""

import numpy as np
from numpy.typing import NDArray

Float32s = NDArray[np.float32]
Float64s = NDArray[np.float64]

Size = tuple[int, int]
"""(H, W) in pixels unless it is said otherwise."""
