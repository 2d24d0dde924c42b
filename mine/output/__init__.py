"""What is made of a scene: camera paths, videos, stereo pairs and the page of the web viewer."""
