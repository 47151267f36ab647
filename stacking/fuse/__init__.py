"""Fusion: frames in, one sharp picture and its depth out."""
