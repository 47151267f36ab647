"""What the stack knows besides the picture: its relief, as maps, meshes, views and profiles."""
