"""Operators: pure functions of tensors and thin modules round them."""
