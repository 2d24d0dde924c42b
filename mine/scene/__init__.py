"""A scene and its camera: photos, pinhole cameras, the multiplane image and its depth."""
