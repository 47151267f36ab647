"""Focus intelligence: what frames at known positions tell of blur, step and range. Shares nothing with the simulator's optics."""
