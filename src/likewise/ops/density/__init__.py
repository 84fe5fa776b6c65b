"""Densities: what places and counts things, as maps, peaks, tiles and windows."""
