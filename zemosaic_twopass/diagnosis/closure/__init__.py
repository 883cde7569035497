"""Gains read off the mosaic, and the tile that keeps it from closing."""
