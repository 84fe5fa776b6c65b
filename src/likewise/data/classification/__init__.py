"""Recognition: pictures with a class each, and the layouts they are published in."""
