"""Skies and faults to order, for the demo, the tests and the benchmarks.

In: a seed and what is to be wrong. Out: tiles, mosaics of them, or a worker whose second pass goes wrong. Doors:
`sky.synthetic_tiles` (white noise, quickly made), `nights.night_tiles` (stacks of frames of a colour camera),
`dense.DenseScene` (each tile over twenty others), `mosaics.coadd`, `faults.faulty_pass` and `surveys.survey`.
"""
