"""Finishing: colour correction of a fused picture."""
