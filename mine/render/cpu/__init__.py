"""The compiled renderer for CPUs, and its gradients.

It returns what `mine.render.reference` returns, to within the tolerances it documents: a reader may skip this package.
"""
