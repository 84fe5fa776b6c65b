"""A count that is yours: what a few corrected pictures teach a counter."""
