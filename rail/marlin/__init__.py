"""Marlin: protocol, link and controller, under the same carriage and axis as GRBL's family."""
