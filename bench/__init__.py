"""Measurements of the hub; see docs/explanation and `make bench`."""
