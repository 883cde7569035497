"""Numerics and records of the two-pass diagnostics, in rooms; each imports only from those before it.

`tiles`, `phase5`, `measure`, `diagnosis`, `report`, `watch`, `offline`, `synthetic`, `command`: see ``docs/design.md``.
The modules beside them are what everybody stands on. Nothing imports wrapt or a worker, except `command`.
"""

from importlib import import_module

__version__ = "0.1.0"

_HOMES = {
    "DeltaMap": "measure.delta",
    "Finding": "diagnosis.finding",
    "TileRecord": "report.report",
    "TileStats": "measure.stats",
    "TwoPassReport": "report.report",
    "delta_map": "measure.delta",
    "diagnose": "diagnosis",
    "tile_statistics": "measure.stats",
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
