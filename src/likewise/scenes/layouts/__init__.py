"""Where things stand: on a flat ground, and in perspective."""
