"""Registration: one transform and one photometric gain per frame."""
