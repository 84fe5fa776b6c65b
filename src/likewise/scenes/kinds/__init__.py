"""Kinds of things that scenes are made of."""
