"""GRBL 1.1: the protocol as values, the link over a port, and the axis on top."""
