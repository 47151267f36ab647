"""A session: plan, journal, the shooting loop, the manifest."""
