"""The plane network at inference on CPUs, fused and compiled.

It returns what `mine.network.planes.reference` returns, up to rounding: a reader may skip this package.
"""
