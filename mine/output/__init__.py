"""What scenes become: camera paths, videos, stereo images, depth images and web pages."""
