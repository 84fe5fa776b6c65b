"""The generalisation suite: pictures of kinds never trained on, counted beside template matching."""
