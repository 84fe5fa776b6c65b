"""Ablations and small experiments, run as recipes."""
