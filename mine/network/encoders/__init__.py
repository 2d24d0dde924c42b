"""Image encoders: five feature maps, at 1/2 to 1/32 of the image's size."""
