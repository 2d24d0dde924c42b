"""The web demo, started by `mine demo`: upload a photo, see its scene in 3D, download videos."""
