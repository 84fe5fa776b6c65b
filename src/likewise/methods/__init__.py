"""The methods: one paper, one file; they never import each other."""
