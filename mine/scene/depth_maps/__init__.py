"""Depth that comes with a photo: files of depth maps, and those inside of phones' portrait photos. Imports no torch."""
