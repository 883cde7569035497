"""How bright tiles are: offset, gain, slope and a common bow, all tiles at once."""
