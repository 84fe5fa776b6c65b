"""Training and evaluation: they know what a counter does, never how."""
