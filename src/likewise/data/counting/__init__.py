"""Counting: pictures with points, prompts for them, and how they are varied."""
