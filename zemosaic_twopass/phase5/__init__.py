"""The arithmetic of the worker: scale map, gains, weights, merge, and a reprojection that the channels share.

In: coverage, masks and planes. Out: gains, weights and mosaics, as the worker's functions return them. Doors:
`renorm` and `coadd`; only the worker and the tools that stand in for one come in here.
"""
