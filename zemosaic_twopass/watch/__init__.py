"""One call as it happens: which calls are looked at, what is kept of them, and what becomes of that.

In: the arguments and results of the worker's functions, from the wrappers in `zemosaic_instrument`. Out: a report for
each probe, its files and lines. Doors: `hooks`, the observers, and `run.Run`, a call from before its body to after it.
"""
