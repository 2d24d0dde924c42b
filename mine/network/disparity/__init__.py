"""The shipped network: monocular disparity, lifted to a multiplane image with an inpainted background."""
