"""Numerics and records of the two-pass diagnostics: arrays and WCS in, records out.

Nothing here imports wrapt or a worker, except the command in `zemosaic_twopass.cli`.
"""

__version__ = "0.1.0"

from .delta import DeltaMap, delta_map
from .diagnosis import diagnose
from .report import Finding, TileRecord, TwoPassReport
from .stats import TileStats, tile_statistics

__all__ = [
    "DeltaMap",
    "Finding",
    "TileRecord",
    "TileStats",
    "TwoPassReport",
    "delta_map",
    "diagnose",
    "tile_statistics",
]
