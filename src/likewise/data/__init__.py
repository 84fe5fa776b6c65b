"""Counting data: pictures, the data sets they come in, and what makes training batches of them."""
