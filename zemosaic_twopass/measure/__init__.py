"""Numbers of tiles: statistics, delta map, block means, samples at points.

In: a tile or a second pass. Out: numbers and small maps, nothing judged. Doors: `stats.tile_statistics`,
`delta.delta_map`; `measurement`, all that one reading of a tile gives; for the diagnosis `coarse` and `sampling`.
"""
