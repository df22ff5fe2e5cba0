"""Losses against each other: the same data, the same streams, the same budget, several seeds."""
