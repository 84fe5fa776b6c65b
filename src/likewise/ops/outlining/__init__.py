"""From points to outlines: how like the examples each pixel is, and regions that are grown from points over that."""
