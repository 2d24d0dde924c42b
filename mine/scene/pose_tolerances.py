"""How exact the matrices of poses must be, in arrays and in files; this module imports no torch."""

ROTATION_TOLERANCE = 1e-2
"""By how much R Rᵀ of a pose's rotation may differ from the identity: 16-bit floats and files have few digits."""

LAST_ROW_TOLERANCE = 1e-5
"""By how much the last row of a pose may differ from 0 0 0 1, by the rounding of products and inverses. Transposed, it
holds the translation, and that may be small."""
