"""Cameras: the protocol, the roles of their settings, and the libgphoto2 driver."""
