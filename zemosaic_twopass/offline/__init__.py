"""Without a call: tiles on disk against a finished mosaic, here or on Dask, and workers loaded from their file.

In: paths. Out: a report, or a worker and its second pass. Doors: `replay.replay`, `cluster.cluster_map` and
`workers.load_worker`.
"""
