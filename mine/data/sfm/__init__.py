"""Structure from motion with COLMAP: reading captures, and reconstructing them from photos, videos or known poses."""
