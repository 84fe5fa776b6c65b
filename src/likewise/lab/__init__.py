"""What researchers run and users need not: benchmarks of speed, the generalisation suite, ablations."""
