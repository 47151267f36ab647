"""The simulated bench: a scene, the lens that sees it, and the wires of a rail and a camera."""
