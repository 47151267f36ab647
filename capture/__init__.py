"""The session: camera, focus intelligence, the shooting loop and the command line."""
