"""Deformable sampling: convolution in two and three dimensions, and pooling of regions."""
