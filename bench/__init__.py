"""Benchmarks: each prints its figure, its limit measured in the same run, and the ratio of the two."""
