"""The axis: GRBL controllers over serial, profiles and the simulated controller. Imports neither capture nor stacking."""
