"""What a tile and a second pass are, and how tiles come from FITS.

In: files from anybody, read within bounds, or the lists of a call. Out: `records.Tile` and `records.SecondPass`, the
two records that every other room works on, and the geometry of grids, boxes and outlines. Doors: `records`, `reading`,
`grid`, `blocks`, and `tile_set`, the one way over tiles wherever they are.
"""
