"""A disparity map, the background behind it and the opacity of each plane, all learned."""
