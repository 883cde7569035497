"""Skies and faults to order, for the demo, the tests and the benchmarks.

In: a seed and what is to be wrong. Out: tiles, or a worker whose second pass goes wrong. Doors: `sky.synthetic_tiles`
and `faults.faulty_pass`.
"""
