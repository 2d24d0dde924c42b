"""Training and evaluation data: pairs of posed images with sparse points or depth.

From bottom to top: `sfm` reads and makes COLMAP reconstructions, `base` makes samples of any image pairs, `registry`
lists data sets by name, `sources` has their options, and `datasets` and `synthetic` hold them.
"""
