"""GRBL 1.1: protocol, link, controller, carriage and the axis on top."""
