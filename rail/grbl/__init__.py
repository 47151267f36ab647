"""GRBL 1.1 and its family: protocol, link, controller, and the carriage and axis on top (which Marlin shares)."""
