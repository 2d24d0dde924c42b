"""The renderer for GPUs in Triton, with gradients.

It returns what `mine.render.reference` returns, to within the tolerances it documents: a reader may skip this package.
"""
