"""A simulated GRBL controller that moves a simulated carriage."""
