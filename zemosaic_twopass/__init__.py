"""Numerics and records of the two-pass diagnostics: arrays and WCS in, records out.

Nothing here imports wrapt or a worker, except the command in `zemosaic_twopass.cli`.
"""

from importlib import import_module

__version__ = "0.1.0"

_HOMES = {
    "DeltaMap": "delta",
    "Finding": "report",
    "TileRecord": "report",
    "TileStats": "stats",
    "TwoPassReport": "report",
    "delta_map": "delta",
    "diagnose": "diagnosis",
    "tile_statistics": "stats",
}
__all__ = list(_HOMES)


def __getattr__(name):
    # When first asked for: the statistics need no astropy, and the switches nothing at all.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value


def __dir__():
    return sorted({*globals(), *_HOMES})
