"""Parts with weights that several methods share."""
